//! The status codes of gRPC.

use std::fmt;

/// A gRPC status code, as etcd reports it on every wire.
///
/// The meaning of each is in gRPC's `doc/statuscodes.md`. Match on
/// [`EtcdError`](super::EtcdError) rather than on this where you can: several servers send the same error
/// under different codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// 0: no error.
    Ok,
    /// 1: the call was cancelled.
    Canceled,
    /// 2: an error of no particular kind; what etcd's lock and election services wrap everything in.
    Unknown,
    /// 3: the request is wrong, whatever the state of the cluster.
    InvalidArgument,
    /// 4: the deadline passed before the call was complete.
    DeadlineExceeded,
    /// 5: what the request names does not exist.
    NotFound,
    /// 6: what the request creates exists.
    AlreadyExists,
    /// 7: the user may not do this.
    PermissionDenied,
    /// 8: a quota or a limit is exhausted.
    ResourceExhausted,
    /// 9: the cluster is not in a state that allows this.
    FailedPrecondition,
    /// 10: a conflict with something concurrent.
    Aborted,
    /// 11: a value lies outside the valid range, such as a compacted revision.
    OutOfRange,
    /// 12: the server does not know this call.
    Unimplemented,
    /// 13: an invariant of the server is broken.
    Internal,
    /// 14: the server cannot serve at the moment.
    Unavailable,
    /// 15: data is lost or corrupt.
    DataLoss,
    /// 16: the caller is not known: no valid token.
    Unauthenticated,
    /// A code this version of the client does not know.
    Other(u32),
}

/// The known codes with their names in Go's spelling, in the order of their numbers.
const NAMES: [(Code, &str); 17] = [
    (Code::Ok, "OK"),
    (Code::Canceled, "Canceled"),
    (Code::Unknown, "Unknown"),
    (Code::InvalidArgument, "InvalidArgument"),
    (Code::DeadlineExceeded, "DeadlineExceeded"),
    (Code::NotFound, "NotFound"),
    (Code::AlreadyExists, "AlreadyExists"),
    (Code::PermissionDenied, "PermissionDenied"),
    (Code::ResourceExhausted, "ResourceExhausted"),
    (Code::FailedPrecondition, "FailedPrecondition"),
    (Code::Aborted, "Aborted"),
    (Code::OutOfRange, "OutOfRange"),
    (Code::Unimplemented, "Unimplemented"),
    (Code::Internal, "Internal"),
    (Code::Unavailable, "Unavailable"),
    (Code::DataLoss, "DataLoss"),
    (Code::Unauthenticated, "Unauthenticated"),
];

impl Code {
    /// The code with this number.
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        let known = usize::try_from(number).ok().and_then(|index| NAMES.get(index));
        known.map_or(Self::Other(number), |(code, _)| *code)
    }

    /// The code with this name, as Go's gRPC prints it: `PermissionDenied`, or `Code(99)` for one without a
    /// name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        if let Some((code, _)) = NAMES.iter().find(|(_, known)| *known == name) {
            return Some(*code);
        }
        let number = name.strip_prefix("Code(")?.strip_suffix(')')?;
        number.parse().ok().map(Self::from_number)
    }

    /// The number of this code.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::Other(number) => number,
            known => NAMES
                .iter()
                .zip(0..)
                .find(|((code, _), _)| *code == known)
                .map_or(2, |(_, number)| number),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(number) => write!(f, "Code({number})"),
            // The derived name of a variant is Go's name, but for this one.
            Self::Ok => f.write_str("OK"),
            known => fmt::Debug::fmt(known, f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_as_number_and_as_name() {
        for number in (0..40).chain([u32::MAX]) {
            let code = Code::from_number(number);
            assert_eq!(code.number(), number);
            assert_eq!(Code::from_name(&code.to_string()), Some(code));
            assert_eq!(matches!(code, Code::Other(_)), number > 16);
        }
    }

    #[test]
    fn names_are_gos() {
        for (code, name) in NAMES {
            assert_eq!(code.to_string(), name);
        }
        assert_eq!(Code::from_name("permission denied"), None);
        assert_eq!(Code::from_name("Code(x)"), None);
        assert_eq!(Code::from_name("Code(16)"), Some(Code::Unauthenticated));
    }
}
