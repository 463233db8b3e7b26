-- A get of "key", as anyetcd sends it; `gateway_get` verifies that it is, byte for byte.
wrk.method = "POST"
wrk.body = '{"key":"a2V5"}'
wrk.headers["content-type"] = "application/json"
wrk.headers["user-agent"] = "gateway_get"
wrk.headers["grpc-metadata-hasleader"] = "true"
