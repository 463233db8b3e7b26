//! Where a watch goes on after its process is gone.

use std::fmt;
use std::str::FromStr;

use crate::error::InvalidArgument;

/// Where a watch has got to, to be stored and to go on from in another process.
///
/// Its text is the cluster's id in hexadecimal, an `@`, and the revision that comes next; a `+` after that says that the
/// watch was only asked to start there, and that this may lie in the future. It does not say what was watched: store it
/// beside the keys it belongs to.
///
/// ```
/// use etcd_core::machine::ResumeToken;
///
/// let token = ResumeToken::new(0xcdf8_1819_4e3a_8c32, 1042);
/// assert_eq!(token.to_string(), "cdf818194e3a8c32@1042");
/// assert_eq!("cdf818194e3a8c32@1042".parse(), Ok(token));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResumeToken {
    cluster_id: u64,
    revision: i64,
    is_reached: bool,
}

impl ResumeToken {
    /// A token for the cluster with this id, of which everything before `revision` is done with.
    #[must_use]
    pub fn new(cluster_id: u64, revision: i64) -> Self {
        Self {
            cluster_id,
            revision,
            is_reached: true,
        }
    }

    /// The same, but that nothing is known of the revisions before: not even whether there are so many yet.
    #[must_use]
    pub fn not_reached(mut self) -> Self {
        self.is_reached = false;
        self
    }

    /// The cluster. Revisions of another one mean nothing here.
    #[must_use]
    pub fn cluster_id(self) -> u64 {
        self.cluster_id
    }

    /// The revision that comes next.
    #[must_use]
    pub fn revision(self) -> i64 {
        self.revision
    }

    /// Whether the cluster has got to the revision before that: one where it has not is another, or lost data.
    #[must_use]
    pub fn is_reached(self) -> bool {
        self.is_reached
    }
}

impl fmt::Display for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ahead = if self.is_reached { "" } else { "+" };
        write!(f, "{:016x}@{}{ahead}", self.cluster_id, self.revision)
    }
}

impl FromStr for ResumeToken {
    type Err = InvalidArgument;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (cluster_id, revision) = text.split_once('@')?;
            let (revision, is_reached) = match revision.strip_suffix('+') {
                Some(revision) => (revision, false),
                None => (revision, true),
            };
            let is_hex = cluster_id.len() == 16 && cluster_id.bytes().all(|byte| byte.is_ascii_hexdigit());
            let is_decimal = revision.bytes().all(|byte| byte.is_ascii_digit());
            let cluster_id = u64::from_str_radix(cluster_id, 16).ok().filter(|_| is_hex)?;
            let revision = revision.parse().ok().filter(|at| *at > 0 && is_decimal)?;
            Some(Self {
                cluster_id,
                revision,
                is_reached,
            })
        };
        parse().ok_or(InvalidArgument::ResumeToken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for token in [
            ResumeToken::new(0, 1),
            ResumeToken::new(u64::MAX, i64::MAX),
            ResumeToken::new(7, 12),
            ResumeToken::new(7, 12).not_reached(),
        ] {
            assert_eq!(token.to_string().parse(), Ok(token));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "@",
            "7@12",
            "0000000000000007@",
            "0000000000000007@0",
            "0000000000000007@-1",
            "0000000000000007@+1",
            "0000000000000007@+",
            "0000000000000007@1++",
            "+000000000000007@1",
            "000000000000000g@1",
            "00000000000000007@1",
            "0000000000000007@9223372036854775808",
        ] {
            assert_eq!(
                text.parse::<ResumeToken>(),
                Err(InvalidArgument::ResumeToken),
                "{text}"
            );
        }
    }
}
