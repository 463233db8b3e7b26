//! Writes a key and reads it back, with anyetcd.

use anyetcd::Client;

#[tokio::main]
async fn main() -> anyetcd::Result<()> {
    let client = Client::connect(["http://127.0.0.1:2379"]).await?;
    client.put("hello", "world").await?;
    println!("{:?}", client.get("hello").await?.first());
    Ok(())
}
