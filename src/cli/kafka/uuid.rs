//! Topic ids as Kafka's tools read them.

use super::ToolError;
use crate::types::TopicId;
use data_encoding::{BASE64URL_NOPAD, DecodeKind, Encoding};
use std::sync::LazyLock;

/// As `java.util.Base64`: what the last digit has beyond whole bytes is not looked at.
static DIGITS: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = BASE64URL_NOPAD.specification();
    specification.check_trailing_bits = false;
    specification.encoding().expect("a part of what it was made from")
});

/// Reads an id in URL-safe base64, with or without padding; the errors are those of Kafka's `Uuid`.
pub fn parse(text: &str) -> Result<TopicId, ToolError> {
    if text.len() > 24 {
        let prefix: String = text.chars().take(24).collect();
        return Err(ToolError::Failed(format!(
            "Input string with prefix `{prefix}` is too long to be decoded as a base64 UUID"
        )));
    }
    let digits = text.trim_end_matches('=').as_bytes();
    let bytes = DIGITS.decode(digits).map_err(|e| {
        ToolError::Failed(match e.kind {
            DecodeKind::Symbol => format!("Illegal base64 character {:x}", digits[e.position]),
            _ => "Last unit does not have enough valid bits".to_owned(),
        })
    })?;
    let len = bytes.len();
    bytes.try_into().map(TopicId).map_err(|_| {
        ToolError::Failed(format!(
            "Input string `{text}` decoded as {len} bytes, which is not equal to the expected 16 \
             bytes of a base64-encoded UUID"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_shown() {
        for id in [[0; 16], [0xff; 16], *b"0123456789abcdef"] {
            let id = TopicId(id);
            assert_eq!(parse(&id.to_string()), Ok(id));
            assert_eq!(parse(&format!("{id}==")), Ok(id));
        }
        for (bad, why) in [
            ("zzz", "decoded as 2 bytes"),
            ("", "decoded as 0 bytes"),
            ("a.b", "Illegal base64 character 2e"),
            ("AAAAA", "enough valid bits"),
            ("AAAAAAAAAAAAAAAAAAAAAAAAA", "too long"),
        ] {
            let Err(ToolError::Failed(e)) = parse(bad) else { panic!("{bad} is no id") };
            assert!(e.contains(why), "{bad}: {e}");
        }
    }
}
