//! Lines as messages: what Kafka's `LineMessageReader` makes of the standard input.

use super::ToolError;
use super::properties::Properties;

/// How a line is read; the names and defaults of the properties are Kafka's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineReader {
    parse_key: bool,
    key_separator: Vec<u8>,
    parse_headers: bool,
    headers_delimiter: Vec<u8>,
    headers_separator: Vec<u8>,
    headers_key_separator: Vec<u8>,
    ignore_error: bool,
    null_marker: Option<Vec<u8>>,
    line: u64,
}

/// A message out of a line; what is `None` is null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Headers, in order.
    pub headers: Vec<(&'a str, Option<&'a [u8]>)>,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: Option<&'a [u8]>,
}

type Header<'a> = (&'a str, Option<&'a [u8]>);

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() {
        return Some(0);
    }
    text.windows(part.len()).position(|w| w == part)
}

impl LineReader {
    /// A reader as the properties say.
    ///
    /// # Errors
    /// Two separators are the same.
    pub fn new(p: &Properties) -> Result<Self, ToolError> {
        let text = |name: &str, default: &str| {
            p.get(name).map_or_else(|| default.into(), |v| v.clone().into_bytes())
        };
        let truth = |name: &str| p.get(name).is_some_and(|v| v.trim().eq_ignore_ascii_case("true"));
        let this = Self {
            parse_key: truth("parse.key"),
            key_separator: text("key.separator", "\t"),
            parse_headers: truth("parse.headers"),
            headers_delimiter: text("headers.delimiter", "\t"),
            headers_separator: text("headers.separator", ","),
            headers_key_separator: text("headers.key.separator", ":"),
            ignore_error: truth("ignore.error"),
            null_marker: p.get("null.marker").map(|v| v.clone().into_bytes()),
            line: 0,
        };
        let marker = this.null_marker.as_ref();
        let marked = |other: &Vec<u8>| marker == Some(other);
        let same = [
            (
                this.headers_delimiter == this.headers_separator,
                "headers.delimiter and headers.separator",
            ),
            (
                this.headers_delimiter == this.headers_key_separator,
                "headers.delimiter and headers.key.separator",
            ),
            (
                this.headers_separator == this.headers_key_separator,
                "headers.separator and headers.key.separator",
            ),
            (marked(&this.key_separator), "null.marker and key.separator"),
            (marked(&this.headers_separator), "null.marker and headers.separator"),
            (marked(&this.headers_delimiter), "null.marker and headers.delimiter"),
            (marked(&this.headers_key_separator), "null.marker and headers.key.separator"),
        ];
        if let Some((_, names)) = same.iter().find(|(same, _)| *same) {
            return Err(ToolError::Failed(format!("{names} may not be equal")));
        }
        if this.headers_separator.is_empty() {
            return Err(ToolError::failed("headers.separator may not be empty"));
        }
        Ok(this)
    }

    fn shown(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// The part before `separator`, and what follows it.
    fn part<'a>(
        &self,
        enabled: bool,
        rest: &'a [u8],
        line: &[u8],
        separator: &[u8],
        name: &str,
    ) -> Result<(Option<&'a [u8]>, &'a [u8]), ToolError> {
        if !enabled {
            return Ok((None, rest));
        }
        match find(rest, separator) {
            Some(at) => Ok((Some(&rest[..at]), &rest[at + separator.len()..])),
            None if self.ignore_error => Ok((None, rest)),
            None => Err(ToolError::Failed(format!(
                "No {name} found on line number {}: '{}'",
                self.line,
                Self::shown(line)
            ))),
        }
    }

    /// Reads the next line, without its end.
    pub fn read<'a>(&mut self, line: &'a [u8]) -> Result<Message<'a>, ToolError> {
        self.line += 1;
        let (headers, rest) = self.part(
            self.parse_headers,
            line,
            line,
            &self.headers_delimiter,
            "headers delimiter",
        )?;
        let (key, value) =
            self.part(self.parse_key, rest, line, &self.key_separator, "key separator")?;
        let is_null = |bytes: &[u8]| self.null_marker.as_deref() == Some(bytes);
        let headers = match headers.filter(|h| !is_null(h)) {
            Some(text) => self.headers(text)?,
            None => Vec::new(),
        };
        Ok(Message {
            headers,
            key: key.filter(|k| !is_null(k)),
            value: Some(value).filter(|v| !is_null(v)),
        })
    }

    fn headers<'a>(&self, text: &'a [u8]) -> Result<Vec<Header<'a>>, ToolError> {
        let mut pairs = Vec::new();
        let mut rest = text;
        while let Some(at) = find(rest, &self.headers_separator) {
            pairs.push(&rest[..at]);
            rest = &rest[at + self.headers_separator.len()..];
        }
        pairs.push(rest);
        // As Java's split: empty pairs at the end do not count.
        while pairs.len() > 1 && pairs.last().is_some_and(|p| p.is_empty()) {
            pairs.pop();
        }
        pairs.into_iter().map(|pair| self.header(pair)).collect()
    }

    fn header<'a>(&self, pair: &'a [u8]) -> Result<Header<'a>, ToolError> {
        let line = self.line;
        let (key, value) = match find(pair, &self.headers_key_separator) {
            Some(at) => (&pair[..at], Some(&pair[at + self.headers_key_separator.len()..])),
            None if self.ignore_error => (pair, None),
            None => {
                return Err(ToolError::Failed(format!(
                    "No header key separator found in pair '{}' on line number {line}",
                    Self::shown(pair)
                )));
            }
        };
        if value.is_some() && self.null_marker.as_deref() == Some(key) {
            return Err(ToolError::Failed(format!(
                "Header keys should not be equal to the null marker '{}' as they can't be null",
                Self::shown(key)
            )));
        }
        let key = std::str::from_utf8(key).map_err(|_| {
            let key = Self::shown(key);
            ToolError::Failed(format!("the header key '{key}' on line number {line} is not UTF-8"))
        })?;
        Ok((key, value.filter(|v| self.null_marker.as_deref() != Some(*v))))
    }
}

/// Cuts a stream of bytes into lines as Java's `BufferedReader` does: a line ends with `\n`, `\r` or
/// both.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    begun: Vec<u8>,
    after_return: bool,
}

impl Lines {
    /// Gives every line that `bytes` complete to `each`; keeps the rest.
    pub fn push<E>(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_return) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let Some(end) = bytes.iter().position(|b| matches!(b, b'\n' | b'\r')) else {
                self.begun.extend_from_slice(bytes);
                return Ok(());
            };
            self.after_return = bytes[end] == b'\r';
            if self.begun.is_empty() {
                each(&bytes[..end])?;
            } else {
                self.begun.extend_from_slice(&bytes[..end]);
                let result = each(&self.begun);
                self.begun.clear();
                result?;
            }
            bytes = &bytes[end + 1..];
        }
        Ok(())
    }

    /// The last line, if the stream did not end with the end of one.
    pub fn rest(&mut self) -> Option<Vec<u8>> {
        Some(std::mem::take(&mut self.begun)).filter(|rest| !rest.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::super::properties::pairs;
    use super::*;

    fn reader(words: &[&str]) -> LineReader {
        LineReader::new(&pairs(words.iter().copied())).expect("properties")
    }

    fn error<T: std::fmt::Debug>(result: Result<T, ToolError>) -> String {
        match result.expect_err("an error") {
            ToolError::Failed(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_line_is_a_value() {
        let mut r = reader(&[]);
        let m = r.read(b"k\tv").expect("reads");
        assert_eq!((m.key, m.value), (None, Some(&b"k\tv"[..])));
        assert_eq!(r.read(b"").expect("reads").value, Some(&b""[..]));
    }

    #[test]
    fn keys_headers_and_nulls() {
        let mut r = reader(&["parse.key=true", "parse.headers=TRUE", "null.marker=NULL"]);
        let m = r.read(b"a:1,b:NULL,c:\tkey\tva\tlue").expect("reads");
        assert_eq!(m.headers, [("a", Some(&b"1"[..])), ("b", None), ("c", Some(&b""[..]))]);
        assert_eq!((m.key, m.value), (Some(&b"key"[..]), Some(&b"va\tlue"[..])));
        let m = r.read(b"NULL\tNULL\tNULL").expect("reads");
        assert_eq!((m.headers.len(), m.key, m.value), (0, None, None));
        assert_eq!(
            error(r.read(b"NULL:1\tk\tv")),
            "Header keys should not be equal to the null marker 'NULL' as they can't be null"
        );
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        let mut r = reader(&["parse.key=true", "key.separator=:"]);
        r.read(b"k:v").expect("reads");
        assert_eq!(error(r.read(b"kv")), "No key separator found on line number 2: 'kv'");
        let mut r = reader(&["parse.headers=true"]);
        assert_eq!(error(r.read(b"v")), "No headers delimiter found on line number 1: 'v'");
        assert_eq!(
            error(r.read(b"h\tv")),
            "No header key separator found in pair 'h' on line number 2"
        );
        let mut r = reader(&["parse.key=true", "parse.headers=true", "ignore.error=true"]);
        let m = r.read(b"kv").expect("reads");
        assert_eq!((m.key, m.value), (None, Some(&b"kv"[..])));
        assert_eq!(r.read(b"h\tk\tv").expect("reads").headers, [("h", None)]);
        let same = LineReader::new(&pairs(["headers.separator=:"]));
        assert_eq!(error(same), "headers.separator and headers.key.separator may not be equal");
    }

    #[test]
    fn lines_end_as_in_java() {
        let cut = |chunks: &[&str]| {
            let (mut lines, mut found) = (Lines::default(), Vec::new());
            for chunk in chunks {
                let result: Result<(), ()> = lines.push(chunk.as_bytes(), |line| {
                    found.push(String::from_utf8_lossy(line).into_owned());
                    Ok(())
                });
                result.expect("nothing fails");
            }
            found.extend(lines.rest().map(|r| String::from_utf8_lossy(&r).into_owned()));
            found
        };
        assert_eq!(cut(&["a\nb\r\nc\rd"]), ["a", "b", "c", "d"]);
        assert_eq!(cut(&["a\r", "\nb\n", "\n", "c", "d\n"]), ["a", "b", "", "cd"]);
        assert!(cut(&[""]).is_empty());
    }
}
