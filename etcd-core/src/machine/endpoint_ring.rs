//! Which member is asked first.

use crate::endpoint::Endpoint;

/// The endpoints of a client in the order given, and the one that calls go to.
///
/// All calls go to one endpoint until it fails; then to the next, and after the last to the first again. A
/// failure counts only against the endpoint in use, so that a thousand calls which fail together move on by
/// one endpoint and not by a thousand.
#[derive(Clone, Debug)]
pub struct EndpointRing {
    endpoints: Vec<Endpoint>,
    current: usize,
}

impl EndpointRing {
    /// A ring that begins with the first of `endpoints`; `None` if there is none.
    #[must_use]
    pub fn new(endpoints: Vec<Endpoint>) -> Option<Self> {
        (!endpoints.is_empty()).then_some(Self {
            endpoints,
            current: 0,
        })
    }

    /// The endpoint in use.
    #[must_use]
    pub fn current(&self) -> &Endpoint {
        &self.endpoints[self.current]
    }

    /// How many there are; at least one.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // never empty
    pub fn len(&self) -> usize {
        self.endpoints.len()
    }

    /// All of them, in the order given.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Takes note that `endpoint` could not serve a call.
    pub fn handle_failure(&mut self, endpoint: &Endpoint) {
        if self.current() == endpoint {
            self.current = (self.current + 1) % self.endpoints.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(count: u16) -> EndpointRing {
        let endpoints = (1..=count)
            .map(|port| format!("host:{port}").parse().unwrap())
            .collect();
        EndpointRing::new(endpoints).unwrap()
    }

    #[test]
    fn failures_of_one_endpoint_move_on_by_one() {
        let mut ring = ring(3);
        let first = ring.current().clone();
        for _ in 0..5 {
            ring.handle_failure(&first);
        }
        assert_eq!(ring.current().authority(), "host:2");
        for expected in ["host:3", "host:1", "host:2"] {
            let failed = ring.current().clone();
            ring.handle_failure(&failed);
            assert_eq!(ring.current().authority(), expected);
        }
    }

    #[test]
    fn there_is_no_ring_of_nothing() {
        assert!(EndpointRing::new(Vec::new()).is_none());
    }
}
