//! The login of a client.
//!
//! ```text
//!                    ┌── no credentials ──▶ Anonymous
//!          new ──────┼── a given token ───▶ Given
//!                    └── credentials ─────▶ LoggedOut ◀──────────────┐
//!                                             │  ▲                   │ handle_stale(its generation)
//!                           handle_login      │  │ handle_stale      │
//!                    ┌────────────────────────┤  │                   │
//!                    │                        ▼  │                   │
//!                    │   handle_auth_disabled: Disabled          LoggedIn
//!                    └────────────────────────────────────────────▶  ┘
//! ```
//!
//! In `Disabled` the servers do not know logins, and calls carry no token: older servers refuse every call
//! that does.

use http::HeaderValue;

use crate::codec::Secret;
use crate::error::InvalidArgument;

/// A user's name and password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub name: String,
    /// The password.
    pub password: Secret,
}

/// Which login a token came from. A call that is told its token is stale says with it which one that was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenGeneration(u64);

/// Which token calls carry, and when it needs to be replaced. Shared by all calls of a client.
#[derive(Debug)]
pub struct Session {
    state: State,
    generation: TokenGeneration,
}

#[derive(Debug)]
enum State {
    Anonymous,
    Given(HeaderValue),
    LoggedOut,
    LoggedIn(HeaderValue),
    Disabled,
}

impl Session {
    /// A session without a login.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::in_state(State::Anonymous)
    }

    /// A session that logs in when a call needs it.
    #[must_use]
    pub fn with_login() -> Self {
        Self::in_state(State::LoggedOut)
    }

    /// A session with a token from elsewhere, which is used as it is and never replaced.
    ///
    /// # Errors
    ///
    /// If the token has a character that no header may.
    pub fn with_token(token: &Secret) -> Result<Self, InvalidArgument> {
        Ok(Self::in_state(State::Given(header_value(token)?)))
    }

    /// The token that a call carries now, and its generation.
    #[must_use]
    pub fn token(&self) -> (TokenGeneration, Option<HeaderValue>) {
        let token = match &self.state {
            State::Given(token) | State::LoggedIn(token) => Some(token.clone()),
            State::Anonymous | State::LoggedOut | State::Disabled => None,
        };
        (self.generation, token)
    }

    /// Whether a call has to wait for a login.
    #[must_use]
    pub fn needs_login(&self) -> bool {
        matches!(self.state, State::LoggedOut)
    }

    /// Whether a stale token can be replaced.
    #[must_use]
    pub fn can_log_in(&self) -> bool {
        matches!(
            self.state,
            State::LoggedOut | State::LoggedIn(_) | State::Disabled
        )
    }

    /// Takes note that a server no longer accepts, or misses, the token of `generation`.
    ///
    /// Of many calls that hear so only the first has an effect; the others find the new token.
    pub fn handle_stale(&mut self, generation: TokenGeneration) {
        if generation == self.generation && self.can_log_in() {
            self.state = State::LoggedOut;
        }
    }

    /// Takes the token of a login.
    ///
    /// # Errors
    ///
    /// If the token has a character that no header may; the session is then as before.
    pub fn handle_login(&mut self, token: &Secret) -> Result<(), InvalidArgument> {
        self.replace(State::LoggedIn(header_value(token)?));
        Ok(())
    }

    /// Takes note that the servers do not know logins.
    pub fn handle_auth_disabled(&mut self) {
        self.replace(State::Disabled);
    }

    fn replace(&mut self, state: State) {
        self.state = state;
        self.generation.0 += 1;
    }

    fn in_state(state: State) -> Self {
        Self {
            state,
            generation: TokenGeneration::default(),
        }
    }
}

fn header_value(token: &Secret) -> Result<HeaderValue, InvalidArgument> {
    let mut value = HeaderValue::from_str(token.expose())
        .map_err(|_| InvalidArgument::HeaderValue { what: "the token" })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_stale_calls_cause_one_login() {
        let mut session = Session::with_login();
        assert!(session.needs_login());
        session.handle_login(&"t1".into()).unwrap();
        let (generation, token) = session.token();
        assert_eq!(token.unwrap(), "t1");

        session.handle_stale(generation);
        assert!(session.needs_login());
        session.handle_login(&"t2".into()).unwrap();
        session.handle_stale(generation);
        assert!(!session.needs_login(), "that was said of the token before");
        assert_eq!(session.token().1.unwrap(), "t2");
    }

    #[test]
    fn where_auth_is_disabled_no_token_is_sent_until_a_server_asks_for_one() {
        let mut session = Session::with_login();
        session.handle_auth_disabled();
        assert!(!session.needs_login());
        let (generation, token) = session.token();
        assert!(token.is_none());
        session.handle_stale(generation);
        assert!(session.needs_login(), "auth was switched on in the meantime");
    }

    #[test]
    fn a_given_token_and_its_absence_cannot_be_replaced() {
        let mut given = Session::with_token(&"jwt".into()).unwrap();
        given.handle_stale(given.token().0);
        assert!(!given.needs_login());
        assert_eq!(given.token().1.unwrap(), "jwt");
        let mut anonymous = Session::anonymous();
        anonymous.handle_stale(anonymous.token().0);
        assert!(!anonymous.needs_login());
    }

    #[test]
    fn tokens_are_not_printed_and_must_fit_into_a_header() {
        let session = Session::with_token(&"hunter2".into()).unwrap();
        assert!(!format!("{session:?}").contains("hunter2"));
        assert!(Session::with_token(&"a\nb".into()).is_err());
    }
}
