//! Topics that were acknowledged as created are there, and those that were acknowledged as deleted are not: at the end
//! every node says so.

use std::collections::{BTreeMap, BTreeSet};

/// What is known of a topic.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    There,
    NotThere,
    /// The last request is under way, or was refused.
    Asked,
    /// An answer never came: the request may take effect at any time.
    Lost,
}

/// See the module. By name.
#[derive(Default)]
pub struct Topics {
    known: BTreeMap<String, Known>,
}

impl Topics {
    /// Somebody asks that it be there or not.
    pub fn asked(&mut self, name: &str) {
        let known = self.known.entry(name.to_owned()).or_insert(Known::NotThere);
        *known = match known {
            Known::Asked | Known::Lost => Known::Lost,
            _ => Known::Asked,
        };
    }

    /// It is there, or not.
    pub fn answered(&mut self, name: &str, there: bool) {
        let known = self.known.get_mut(name).expect("it was asked");
        if *known == Known::Asked {
            *known = if there { Known::There } else { Known::NotThere };
        }
    }

    /// Whether these can be all that there are, when nothing failed any more and everything was answered. An error says what
    /// is wrong: who was behind may be so for a while.
    pub fn all(&self, names: &BTreeSet<String>) -> Result<(), String> {
        for (name, known) in &self.known {
            let there = names.contains(name);
            let right = match known {
                Known::There => there,
                Known::NotThere => !there,
                Known::Asked | Known::Lost => true,
            };
            if !right {
                return Err(format!("whether topic {name} is there: {there}"));
            }
        }
        Ok(())
    }
}
