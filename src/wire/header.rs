//! Headers of requests and responses.
//!
//! A flexible request has header v2 (tagged fields at its end), others v1. A flexible response has
//! header v1, others v0; only `ApiVersions` always answers with v0, since the client may not know
//! yet what the broker understands (KIP-511).

use super::api_keys::ApiKey;
use super::primitives::{Reader, WireError, Writer};

/// The header of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHeader<'a> {
    /// The API.
    pub api_key: ApiKey,
    /// The version of the request's body, and of its response.
    pub version: i16,
    /// The client's number of this request, which the response repeats.
    pub correlation_id: i32,
    /// The client's name for itself.
    pub client_id: Option<&'a str>,
}

/// Reads a request's header; the body follows in `r`.
///
/// Of an API that is not in the table only the fields are read that the headers of all APIs share.
/// The same holds for a version that is too new: its header is v2 or later, which begins alike.
pub fn decode_request<'a>(r: &mut Reader<'a>) -> Result<RequestHeader<'a>, WireError> {
    let api_key = ApiKey(r.i16()?);
    let version = r.i16()?;
    let correlation_id = r.i32()?;
    let client_id = r.nullable_string(false)?;
    if api_key.is_flexible(version) {
        r.skip_tagged_fields()?;
    }
    Ok(RequestHeader { api_key, version, correlation_id, client_id })
}

/// Writes a request's header; the body is to follow.
pub fn encode_request(header: &RequestHeader<'_>, w: &mut Writer) -> Result<(), WireError> {
    w.i16(header.api_key.0);
    w.i16(header.version);
    w.i32(header.correlation_id);
    w.nullable_string(header.client_id, false)?;
    if header.api_key.is_flexible(header.version) {
        w.varint(0);
    }
    Ok(())
}

/// The response to `version` of `api_key` has tagged fields in its header.
pub fn response_is_flexible(api_key: ApiKey, version: i16) -> bool {
    api_key != ApiKey::API_VERSIONS && api_key.is_flexible(version)
}

/// Writes the header of the response to `version` of `api_key`; the body is to follow.
pub fn encode_response(api_key: ApiKey, version: i16, correlation_id: i32, w: &mut Writer) {
    w.i32(correlation_id);
    if response_is_flexible(api_key, version) {
        w.varint(0);
    }
}

/// Reads the header of the response to `version` of `api_key`: the correlation id. The body follows
/// in `r`.
pub fn decode_response(
    api_key: ApiKey,
    version: i16,
    r: &mut Reader<'_>,
) -> Result<i32, WireError> {
    let correlation_id = r.i32()?;
    if response_is_flexible(api_key, version) {
        r.skip_tagged_fields()?;
    }
    Ok(correlation_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_round_trip() {
        for (version, len) in [(8, 2 + 2 + 4 + 2 + 3), (9, 2 + 2 + 4 + 2 + 3 + 1)] {
            let header = RequestHeader {
                api_key: ApiKey::PRODUCE,
                version,
                correlation_id: 7,
                client_id: Some("abc"),
            };
            let mut w = Writer::new();
            encode_request(&header, &mut w).unwrap();
            assert_eq!(w.len(), len);
            let mut r = Reader::new(w.as_slice());
            assert_eq!(decode_request(&mut r), Ok(header));
            assert_eq!(r.finish(), Ok(()));
        }
    }

    #[test]
    fn api_versions_answers_with_the_oldest_header() {
        for (key, version, len) in
            [(ApiKey::API_VERSIONS, 4, 4), (ApiKey::METADATA, 9, 5), (ApiKey::METADATA, 8, 4)]
        {
            let mut w = Writer::new();
            encode_response(key, version, -5, &mut w);
            assert_eq!(w.len(), len);
            let mut r = Reader::new(w.as_slice());
            assert_eq!(decode_response(key, version, &mut r), Ok(-5));
            assert_eq!(r.finish(), Ok(()));
        }
    }
}
