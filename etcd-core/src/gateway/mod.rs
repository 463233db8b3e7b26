//! The JSON gateway over HTTP/1.1: messages to HTTP requests, HTTP responses to messages.
//!
//! All calls are POSTs of one JSON document to the path of their RPC. Unary calls are answered by one
//! document, streams by lines of `{"result":...}` until the end or a last line of `{"error":...}`.
//!
//! ```
//! use etcd_core::codec::to_json;
//! use etcd_core::endpoint::Endpoint;
//! use etcd_core::gateway::{self, Metadata};
//! use etcd_core::message::{Get, GetResponse};
//! use etcd_core::rpc::Request;
//! use http::StatusCode;
//!
//! let endpoint: Endpoint = "http://127.0.0.1:2379".parse()?;
//! let message = to_json(&Get::new("key")).into();
//! let request = gateway::request(&endpoint, Get::RPC, message, &Metadata::default());
//! assert_eq!(request.uri(), "http://127.0.0.1:2379/v3/kv/range");
//! assert_eq!(&request.body()[..], br#"{"key":"a2V5"}"#);
//!
//! let body = br#"{"header":{"revision":"7"},"kvs":[{"key":"a2V5","value":"dmFsdWU="}],"count":"1"}"#;
//! let response: GetResponse = gateway::unary_response::<Get>(StatusCode::OK, body)?;
//! assert_eq!(response.kvs[0].value, "value");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ahead;
mod line;
mod request;
mod response;
mod scanner;
mod stream;

pub use line::stream_message;
pub use request::{Metadata, request, stream_request_head};
pub use response::unary_response;
pub use stream::StreamDecoder;
