//! Simple tokens: random text that stands for a user, for as long as it is used.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use etcd_core::codec::Secret;

use crate::random::Random;

/// The tokens one member has handed out. They die with the member, and whenever authentication is switched off.
#[derive(Clone, Default)]
pub(crate) struct Tokens(BTreeMap<String, Token>);

#[derive(Clone)]
struct Token {
    user: String,
    deadline: Instant,
}

const LETTERS: &[u8; 52] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// `defaultSimpleTokenLength` in `server/auth/simple_token.go`.
const LENGTH: usize = 16;

impl Tokens {
    /// A new token: random letters, and the index at which it became valid.
    pub(crate) fn assign(
        &mut self,
        random: &mut Random,
        user: &str,
        index: u64,
        deadline: Instant,
    ) -> Secret {
        let mut token: String = (0..LENGTH)
            .map(|_| {
                let letter = random.below(LETTERS.len() as u64);
                char::from(LETTERS[usize::try_from(letter).unwrap_or_default()])
            })
            .collect();
        token.push('.');
        token.push_str(&index.to_string());
        let user = user.to_owned();
        self.0.insert(token.clone(), Token { user, deadline });
        token.into()
    }

    /// The user a token stands for; using it prolongs its life.
    pub(crate) fn user(&mut self, now: Instant, token: &str, ttl: Duration) -> Option<&str> {
        if self.0.get(token).is_some_and(|found| found.deadline < now) {
            self.0.remove(token);
        }
        let found = self.0.get_mut(token)?;
        found.deadline = now + ttl;
        Some(&found.user)
    }

    /// Ends all tokens of a user.
    pub(crate) fn invalidate(&mut self, user: &str) {
        self.0.retain(|_, token| token.user != user);
    }

    /// Ends all tokens.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// The index at the end of a token that looks like one; a server waits until it has applied that much.
pub(crate) fn index_of(token: &str) -> Option<u64> {
    let (_, index) = token.split_once('.')?;
    // Go's ParseUint takes no sign.
    index
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| index.parse().ok())?
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_lives_as_long_as_it_is_used() {
        let (now, ttl) = (Instant::now(), Duration::from_secs(3));
        let mut tokens = Tokens::default();
        let token = tokens.assign(&mut Random::new(1), "ann", 46, now + ttl);
        assert_eq!(index_of(token.expose()), Some(46));
        for second in 1..10 {
            let later = now + Duration::from_secs(second * 2);
            assert_eq!(tokens.user(later, token.expose(), ttl), Some("ann"));
        }
        assert_eq!(
            tokens.user(now + Duration::from_secs(22), token.expose(), ttl),
            None
        );
        assert_eq!(format!("{tokens:?}"), "Tokens(0)");
    }

    #[test]
    fn only_what_ends_in_an_index_looks_like_a_token() {
        assert_eq!(index_of("abc.9999"), Some(9999));
        for nonsense in ["", "nonsense", "a.b", "a.1.2", "a.-1", "a.+1", "a."] {
            assert_eq!(index_of(nonsense), None, "{nonsense}");
        }
    }
}
