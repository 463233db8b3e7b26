"""What an application does with etcd3gw, asserted. The only argument is a server's URL."""

import sys
from urllib.parse import urlsplit

from etcd3gw.client import Etcd3Client

url = urlsplit(sys.argv[1])
client = Etcd3Client(host=url.hostname, port=url.port, timeout=60)

# Keys and values.
assert client.put("python/a", "1")
assert client.put("python/b", b"\x00\xff")
assert client.get("python/a") == [b"1"]
assert client.get("python/b") == [b"\x00\xff"]
pairs = client.get_prefix("python/")
assert [(pair["key"], value) for value, pair in pairs] == [(b"python/a", b"1"), (b"python/b", b"\x00\xff")], pairs
assert client.delete("python/b")
assert not client.delete("python/b")
assert client.get("python/b") == []

# Transactions.
assert client.create("python/created", "mine")
assert not client.create("python/created", "yours")
assert client.replace("python/created", "mine", "ours")
assert not client.replace("python/created", "mine", "theirs")
assert client.get("python/created") == [b"ours"]

# Watches.
events, cancel = client.watch("python/watched")
client.put("python/watched", "1")
client.put("python/watched", "2")
client.delete("python/watched")
kinds = []
for event in events:
    kinds.append((event.get("type", "PUT"), event["kv"].get("value")))
    if len(kinds) == 3:
        cancel()
assert kinds == [("PUT", b"1"), ("PUT", b"2"), ("DELETE", None)], kinds

# Leases.
lease = client.lease(ttl=60)
client.put("python/leased", "1", lease=lease)
assert lease.keys() == [b"python/leased"]
assert 50 < lease.ttl() <= 60
assert lease.refresh() == 60
assert lease.revoke()
assert client.get("python/leased") == []

# Locks, which etcd3gw makes of transactions and leases.
with client.lock("python", ttl=60) as lock:
    assert lock.is_acquired()
    assert not client.lock("python", ttl=60).acquire()
assert client.lock("python", ttl=60).acquire()
client.delete_prefix("/locks/")

client.delete_prefix("python/")
print("put, get, transaction, watch, lease and lock: done")
