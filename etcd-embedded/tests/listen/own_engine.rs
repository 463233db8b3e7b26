//! This project's own HTTP engine as the client.

use std::time::Duration;

use bytes::Bytes;
use etcd_core::transport::{BodyFrame, RequestBody, ResponseBody, Transport};
use etcd_embedded::Dialect;
use etcd_http::HttpConfig;
use etcd_tokio::TokioRuntime;
use futures_channel::mpsc::unbounded;
use http::Request;

use super::socket::{server, until, watches};

async fn hear(body: &mut ResponseBody) -> String {
    match tokio::time::timeout(Duration::from_secs(60), body.next_frame())
        .await
        .unwrap()
    {
        Some(Ok(BodyFrame::Data(data))) => String::from_utf8(data.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_holds_a_conversation_and_its_drop_ends_the_watch() {
    for dialect in Dialect::ALL {
        let server = server(dialect);
        let transport = TokioRuntime::current().unwrap().transport(HttpConfig::new());
        let (messages, receiver) = unbounded::<Bytes>();
        messages
            .unbounded_send(r#"{"create_request":{"key":"YQ=="}}"#.into())
            .unwrap();
        let url = format!("{}/v3/watch", server.url());
        let request = Request::post(url).body(RequestBody::stream(receiver)).unwrap();
        let response = transport.exchange(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let mut body = response.into_body();
        assert!(hear(&mut body).await.contains(r#""created":true"#));

        let url = format!("{}/v3/kv/put", server.url());
        for value in ["MQ==", "Mg=="] {
            let put = format!(r#"{{"key":"YQ==","value":"{value}"}}"#);
            let request = Request::post(&url).body(RequestBody::from(put)).unwrap();
            assert_eq!(transport.exchange(request).await.unwrap().status(), 200);
            assert!(hear(&mut body).await.contains(value));
        }
        messages
            .unbounded_send(r#"{"progress_request":{}}"#.into())
            .unwrap();
        assert!(hear(&mut body).await.contains(r#""watch_id":"-1""#));

        drop(body);
        until("the watch is gone", || watches(&server) == 0);
    }
}
