//! `DescribeAclsRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 1 to 3.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribeAclsRequest<'a> {
    /// In every version.
    pub resource_type_filter: i8,
    /// In every version.
    pub resource_name_filter: Option<&'a str>,
    /// In every version, default 3.
    pub pattern_type_filter: i8,
    /// In every version.
    pub principal_filter: Option<&'a str>,
    /// In every version.
    pub host_filter: Option<&'a str>,
    /// In every version.
    pub operation: i8,
    /// In every version.
    pub permission_type: i8,
}

impl Default for DescribeAclsRequest<'_> {
    fn default() -> Self {
        Self {
            resource_type_filter: 0,
            resource_name_filter: Some(""),
            pattern_type_filter: 3,
            principal_filter: Some(""),
            host_filter: Some(""),
            operation: 0,
            permission_type: 0,
        }
    }
}

impl<'a> DescribeAclsRequest<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::DESCRIBE_ACLS;
    /// The first version.
    pub const MIN_VERSION: i16 = 1;
    /// The last version.
    pub const MAX_VERSION: i16 = 3;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 2;
        let resource_type_filter = r.i8()?;
        let resource_name_filter = r.nullable_string(flexible)?;
        let pattern_type_filter = r.i8()?;
        let principal_filter = r.nullable_string(flexible)?;
        let host_filter = r.nullable_string(flexible)?;
        let operation = r.i8()?;
        let permission_type = r.i8()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            resource_type_filter,
            resource_name_filter,
            pattern_type_filter,
            principal_filter,
            host_filter,
            operation,
            permission_type,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 2;
        w.i8(self.resource_type_filter);
        w.nullable_string(self.resource_name_filter, flexible)?;
        w.i8(self.pattern_type_filter);
        w.nullable_string(self.principal_filter, flexible)?;
        w.nullable_string(self.host_filter, flexible)?;
        w.i8(self.operation);
        w.i8(self.permission_type);
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
