//! Writes a key and reads it back, with etcd-client.

use etcd_client::Client;

#[tokio::main]
async fn main() -> Result<(), etcd_client::Error> {
    let mut client = Client::connect(["http://127.0.0.1:2379"], None).await?;
    client.put("hello", "world", None).await?;
    println!("{:?}", client.get("hello", None).await?.kvs().first());
    Ok(())
}
