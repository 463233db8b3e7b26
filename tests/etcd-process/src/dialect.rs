use std::fmt;

/// The gateway dialect that a server speaks. It follows the grpc-gateway library linked into the binary, not etcd's
/// version number: Debian builds etcd 3.5 with a newer library than upstream does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    /// grpc-gateway 1.6, as in Debian bookworm's etcd 3.4.
    G1_6,
    /// grpc-gateway 1.16, as in every upstream etcd 3.5.
    G1_16,
    /// grpc-gateway 2, as in Debian's etcd 3.5 since trixie, and upstream etcd 3.6 and later.
    G2,
}

impl Dialect {
    /// Every dialect, oldest first.
    pub const ALL: [Self; 3] = [Self::G1_6, Self::G1_16, Self::G2];

    /// The short name that documents, logs and folders use: `g1.6`, `g1.16`, `g2`.
    pub fn name(self) -> &'static str {
        match self {
            Self::G1_6 => "g1.6",
            Self::G1_16 => "g1.16",
            Self::G2 => "g2",
        }
    }

    /// The etcd version that stands for this dialect. The one at hand may be another where a distribution has moved
    /// on; [`binaries::version`](crate::binaries::version) tells.
    pub fn version(self) -> &'static str {
        match self {
            Self::G1_6 => "3.4.23",
            Self::G1_16 => "3.5.1",
            Self::G2 => "3.5.30",
        }
    }

    /// The dialect of an etcd binary, by the names of functions linked into it.
    ///
    /// `None` when it links none of the three libraries.
    pub fn of_binary(binary: &[u8]) -> Option<Self> {
        let has = |name: &str| binary.windows(name.len()).any(|window| window == name.as_bytes());
        if has("MatchAndEscape") {
            return Some(Self::G2);
        }
        // The stream error message moved from `runtime/internal` to `internal` in grpc-gateway 1.8.
        if has("grpc-gateway/runtime/internal") {
            return Some(Self::G1_6);
        }
        has("grpc-gateway/internal").then_some(Self::G1_16)
    }

    /// Whether the server may lose a write that it acknowledged when it is killed while it is busy: etcd 3.5.0 to 3.5.2 note a
    /// log entry as applied in whatever they commit next, be its own changes part of that or not (etcd's issue 13766).
    pub(crate) fn forgets_when_killed(self) -> bool {
        self == Self::G1_16
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
