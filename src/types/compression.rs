//! How the records of a batch are compressed, and how hard.

/// How the records of a batch are compressed (the lowest three bits of its attributes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Compression {
    /// Not at all.
    #[default]
    None = 0,
    /// RFC 1952.
    Gzip = 1,
    /// Raw Snappy, or Snappy in the framing of xerial's Java library.
    Snappy = 2,
    /// LZ4 frames.
    Lz4 = 3,
    /// RFC 8878 (KIP-110).
    Zstd = 4,
}

impl Compression {
    /// All five.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// Kafka's name, as in `compression.type` of a producer.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// Reads [`Compression::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.name() == name)
    }

    /// Reads `compression.type` of a topic; `None` for `producer`, which keeps what comes.
    pub fn of_topic(name: &str) -> Option<Self> {
        if name == "uncompressed" { Some(Self::None) } else { Self::from_name(name) }
    }
}

/// A compression type with its level (KIP-390).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Codec {
    /// The type.
    pub compression: Compression,
    /// gzip: 1 to 9, -1 for its default, 6. LZ4: 1 to 17, where 9 is its fast mode, as in Kafka, and others are
    /// levels of its high-compression mode. Zstandard: -131072 to 22. 0 for those without levels.
    pub level: i32,
}

impl Codec {
    /// With the level that Kafka's clients and brokers take where nobody sets one.
    pub const fn of(compression: Compression) -> Self {
        let level = match compression {
            Compression::None | Compression::Snappy => 0,
            Compression::Gzip => -1,
            Compression::Lz4 => 9,
            Compression::Zstd => 3,
        };
        Self { compression, level }
    }
}
