//! What one configuration is: its type, its bounds, and whether this broker honours it.

use super::share_reset::ShareReset;
use std::borrow::Cow;

/// The type of a value, numbered as in `DescribeConfigs` responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`, in any case.
    Boolean = 1,
    /// Text.
    String = 2,
    /// 32 bits, signed.
    Int = 3,
    /// 64 bits, signed.
    Long = 5,
    /// A floating point number.
    Double = 6,
    /// Texts with commas between them.
    List = 7,
}

/// Where a value comes from, numbered as in `DescribeConfigs` responses from version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Set on the topic.
    Topic = 1,
    /// Set on this broker while it ran.
    Broker = 2,
    /// Set for all brokers while they ran.
    Cluster = 3,
    /// Given at the start.
    Static = 4,
    /// Nobody set it.
    Default = 5,
    /// Set on the group.
    Group = 8,
}

/// Which values of a [`Kind`] are allowed.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// All.
    Any,
    /// Numbers from this one.
    AtLeast(i64),
    /// Numbers from the first to the second.
    Between(i64, i64),
    /// Compression levels of gzip: -1, or 1 to 9.
    GzipLevel,
    /// One of these texts; for a list, each of its parts.
    OneOf(&'static [&'static str]),
    /// `*`, or pairs `partition:broker`.
    ThrottledReplicas,
    /// Pairs `address:count`, see [`ip_limits`](super::ip_limits).
    IpLimits,
    /// Where a share group begins, see [`ShareReset`].
    ShareReset,
}

/// What setting a configuration does here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// What Kafka documents.
    Honoured,
    /// Nothing: only the default is accepted, so that no setting is stored and ignored.
    DefaultOnly,
    /// Reported, never set by hand: other settings of the broker give it.
    Derived,
}

/// A broker's configuration that a topic's falls back to.
#[derive(Clone, Copy, Debug)]
pub struct Synonym {
    /// The broker's configuration.
    pub name: &'static str,
    /// The topic's value is the broker's times this (hours to milliseconds).
    pub factor: i64,
}

/// One configuration of a topic, of a group or of a broker.
#[derive(Clone, Copy, Debug)]
pub struct ConfigDef {
    /// Kafka's name.
    pub name: &'static str,
    /// Type.
    pub kind: Kind,
    /// Value where nobody sets one; `None` is null.
    pub default: Option<&'static str>,
    /// Bounds.
    pub rule: Rule,
    /// Whether it has its effect here.
    pub support: Support,
    /// Whether it can be changed while the broker runs.
    pub dynamic: bool,
    /// What it falls back to, the strongest first. Without the topic's or group's own value, of course.
    pub synonyms: &'static [Synonym],
    /// One sentence for `DescribeConfigs`.
    pub doc: &'static str,
}

impl ConfigDef {
    /// The value in its canonical form, or Kafka's message for what is wrong with it. Says nothing
    /// about [`Support`].
    pub fn parse<'a>(&self, raw: &'a str) -> Result<Cow<'a, str>, String> {
        let text = raw.trim();
        let fail = |shown: &str, why: &str| {
            Err(format!("Invalid value {shown} for configuration {}: {why}", self.name))
        };
        let bounded = |number: i64, shown: &str| match self.rule {
            Rule::AtLeast(least) | Rule::Between(least, _) if number < least => {
                fail(shown, &format!("Value must be at least {least}"))
            }
            Rule::Between(_, most) if number > most => {
                fail(shown, &format!("Value must be no more than {most}"))
            }
            Rule::GzipLevel if number != -1 && !(1..=9).contains(&number) => {
                fail(shown, "Value must be between 1 and 9 or equal to -1")
            }
            _ => Ok(Cow::Owned(shown.to_owned())),
        };
        match self.kind {
            Kind::Boolean if text.eq_ignore_ascii_case("true") => Ok(Cow::Borrowed("true")),
            Kind::Boolean if text.eq_ignore_ascii_case("false") => Ok(Cow::Borrowed("false")),
            Kind::Boolean => fail(raw, "Expected value to be either true or false"),
            Kind::Int => match text.parse::<i32>() {
                Ok(number) => bounded(number.into(), &number.to_string()),
                Err(_) => fail(raw, "Not a number of type INT"),
            },
            Kind::Long => match text.parse::<i64>() {
                Ok(number) => bounded(number, &number.to_string()),
                Err(_) => fail(raw, "Not a number of type LONG"),
            },
            Kind::Double => match text.parse::<f64>() {
                Ok(number) => {
                    let shown = format!("{number:?}");
                    match self.rule {
                        Rule::Between(least, _) if number < least as f64 => {
                            fail(&shown, &format!("Value must be at least {least}"))
                        }
                        Rule::Between(_, most) if number > most as f64 => {
                            fail(&shown, &format!("Value must be no more than {most}"))
                        }
                        _ => Ok(Cow::Owned(shown)),
                    }
                }
                Err(_) => fail(raw, "Not a number of type DOUBLE"),
            },
            Kind::String => match self.rule {
                Rule::OneOf(allowed) if !allowed.contains(&text) => {
                    fail(text, &format!("String must be one of: {}", allowed.join(", ")))
                }
                Rule::IpLimits => match super::ip_limits::parse(text) {
                    Ok(_) => Ok(Cow::Borrowed(text)),
                    Err(why) => fail(text, &why),
                },
                Rule::ShareReset if ShareReset::read(text).is_none() => fail(
                    text,
                    "Expected latest, earliest, or by_duration:PnDTnHnMn.nS with a duration that is not \
                     negative",
                ),
                _ => Ok(Cow::Borrowed(text)),
            },
            Kind::List => {
                let parts = split_list(text);
                match self.rule {
                    Rule::OneOf(allowed) => {
                        for part in &parts {
                            if !allowed.contains(part) {
                                let why = format!("String must be one of: {}", allowed.join(", "));
                                return fail(part, &why);
                            }
                        }
                    }
                    Rule::ThrottledReplicas if !is_throttled_replicas(&parts) => {
                        let why = format!(
                            "{} must be the literal '*' or a list of replicas in the following \
                             format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
                            self.name
                        );
                        return fail(&format!("[{}]", parts.join(", ")), &why);
                    }
                    _ => {}
                }
                Ok(Cow::Owned(parts.join(",")))
            }
        }
    }

    /// As [`ConfigDef::parse`], and refuses what this broker would not act on.
    pub fn check<'a>(&self, raw: &'a str) -> Result<Cow<'a, str>, String> {
        let value = self.parse(raw)?;
        let default = self.default.unwrap_or_default();
        let effective = match self.support {
            Support::Honoured => true,
            Support::Derived => false,
            Support::DefaultOnly if self.kind == Kind::List => {
                let parts = split_list(&value);
                parts.is_empty() == default.is_empty() && parts.iter().all(|part| *part == default)
            }
            Support::DefaultOnly => value == default,
        };
        if effective {
            return Ok(value);
        }
        Err(format!(
            "Invalid value {value} for configuration {}: This broker supports only the default{}{}",
            self.name,
            if default.is_empty() { "" } else { ": " },
            default
        ))
    }
}

/// The parts of a list; none for the empty text.
pub fn split_list(text: &str) -> Vec<&str> {
    let text = text.trim();
    if text.is_empty() { Vec::new() } else { text.split(',').map(str::trim).collect() }
}

fn is_throttled_replicas(parts: &[&str]) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let pair = |part: &&str| part.split_once(':').is_some_and(|(a, b)| number(a) && number(b));
    matches!(parts, ["*"]) || parts.iter().all(pair)
}
