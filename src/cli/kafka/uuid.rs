//! Topic ids as Kafka's tools read them.

use super::ToolError;
use crate::types::TopicId;

/// Reads an id in URL-safe base64, with or without padding; the errors are those of Kafka's `Uuid`.
pub fn parse(text: &str) -> Result<TopicId, ToolError> {
    if text.len() > 24 {
        let prefix: String = text.chars().take(24).collect();
        return Err(ToolError::Failed(format!(
            "Input string with prefix `{prefix}` is too long to be decoded as a base64 UUID"
        )));
    }
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0u32, 0);
    for c in text.trim_end_matches('=').bytes() {
        let digit = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return Err(ToolError::Failed(format!("Illegal base64 character {c:x}"))),
        };
        bits = bits << 6 | u32::from(digit);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
        }
    }
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
        assert!(parse("zzz").is_err() && parse("").is_err());
        assert!(parse("a.b").is_err() && parse(&"A".repeat(25)).is_err());
    }
}
