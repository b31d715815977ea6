/* ---
id = "egress.unknown-host"
version = 1
title = "Traffic to a host that the mesh does not know"
severity = "medium"
window = "5m"
entity = ["source", "host"]
summary = "{source} called {host}, which no Service or ServiceEntry names, {count} times: {blocked} blocked, {passed} let through, {bytes_out} bytes sent"
requires = ["egress"]
reporters = ["source", "ztunnel"]
signals = ["egress_unknown"]
attack = ["T1071.001"]
false_positives = "A ServiceEntry that is missing or not exported to the caller's namespace; a headless service called by pod address."
runbook = "Ask the owner of the source what it wants there. If it is meant, add a ServiceEntry; if not, treat the source as compromised and look at what it sent. Names come from the caller: a benign name may front another address, compare 'addresses'."

[degraded]
source_principal = "who called: sources are addresses instead of identities"
route_name = "calls that REGISTRY_ONLY blocked: their lines have a route (block_all) and no cluster"
upstream_cluster = "connections that are not HTTP: their lines have a cluster and no route"
"source_principal | source_ip" = "who it was: all callers are one source, unknown"
"egress_host | destination_ip" = "what was called: all hosts are one, unknown"
--- */
WITH unknown AS (
    -- only the caller's own sidecar or ztunnel: a registered host has its own outbound cluster and never gets here
    SELECT
        log_id,
        time,
        -- a principal that a caller may have written names nobody
        coalesce(CASE WHEN NOT coalesce(has_flag(claims, 'source_principal'), false) THEN source_principal END, source_ip, 'unknown') AS source,
        coalesce(egress_host, destination_ip, 'unknown') AS host,
        destination_ip,
        egress = 'blackhole' AS blocked,
        coalesce(bytes_received, 0) AS bytes_out
    FROM requests
    WHERE time >= $window_start AND time < $window_end
      AND egress IN ('passthrough', 'blackhole')
      AND (reporter = 'source' OR (reporter = 'ztunnel' AND direction = 'outbound'))
)
SELECT
    source,
    host,
    count(*) AS count,
    min(time) AS first_seen,
    max(time) AS last_seen,
    evidence(log_id, time) AS evidence,
    count(*) FILTER (WHERE blocked) AS blocked,
    count(*) FILTER (WHERE NOT blocked) AS passed,
    -- Envoy's bytes_received is the request's body: what left the mesh
    sum(bytes_out) AS bytes_out,
    names(destination_ip) AS addresses
FROM unknown
GROUP BY source, host
