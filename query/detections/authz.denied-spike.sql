/* ---
id = "authz.denied-spike"
version = 1
title = "Spike of requests denied by authorization policy"
severity = "high"
window = "5m"
lookback = "1h"
entity = ["source", "destination"]
summary = "{source} was denied {count} times by {destination} ({policies}), against {baseline} per window before the burst"
requires = ["rbac_decision"]
reporters = ["destination", "gateway", "waypoint", "ztunnel", "unknown"]
signals = ["denied"]
attack = ["T1046"]
false_positives = "A new AuthorizationPolicy that forgets a legitimate caller denies that caller from its first request on; a client that retries multiplies its denials."
runbook = "Look at 'policies': one policy denying many sources at once is a rollout, one source denied by many policies is a probe. Ask the owner of the source whether the call is meant; if not, treat the source workload as compromised: isolate it and read its other edges."

[degraded]
response_code_details = "denials of HTTP requests, but those that the metadata of the RBAC filter tells"
connection_termination_details = "denials of TCP connections"
source_principal = "who was denied: sources are addresses instead of identities"
destination_principal = "who denied: destinations are services or addresses instead of identities"
"source_principal | source_ip" = "who it was: all callers are one source, unknown"
"destination_principal | destination_service | destination_ip" = "who was called: all destinations are one, unknown"

[params]
floor = 20
factor = 5
--- */
WITH denied AS (
    -- the server side judges (gateways and waypoints included), so a denial is counted once: the client's own line of it says 403 via_upstream.
    -- TCP denials (code 0) and gRPC ones (code 200) are denials as well: the decision counts, not the code
    SELECT
        log_id,
        time,
        proven_source AS source,
        proven_destination AS destination,
        coalesce(rbac_policy_namespace || '/' || rbac_policy || ' rule ' || rbac_rule, 'no policy allowed it') AS policy,
        log_type,
        response_code
    FROM requests
    WHERE time >= $lookback_start AND time < $window_end
      AND rbac_decision = 'deny'
      AND (reporter IN ('destination', 'waypoint', 'gateway') OR (reporter = 'ztunnel' AND direction = 'inbound'))
),
earlier AS (
    SELECT
        source,
        destination,
        count(*) AS n,
        -- 1 = the window before this one, 12 = the oldest
        (CAST(date_part('epoch', $window_start) AS BIGINT) - CAST(date_part('epoch', date_bin(INTERVAL '5 minutes', time)) AS BIGINT)) / 300 AS back
    FROM denied
    WHERE time < $window_start
    GROUP BY source, destination, back
),
marked AS (
    -- a burst that began in the two windows before is no baseline for its own end: an attack over a window's edge is found whole
    SELECT *, n >= $floor AND back <= 2 AND back = row_number() OVER (PARTITION BY source, destination, n >= $floor ORDER BY back) AS in_run
    FROM earlier
),
baselines AS (
    -- denials a window in the hour before, the burst's own windows left out; a window without any is a window of 0
    SELECT
        source,
        destination,
        coalesce(sum(n) FILTER (WHERE NOT in_run), 0) / (12.0 - count(*) FILTER (WHERE in_run)) AS baseline
    FROM marked
    GROUP BY source, destination
),
current AS (
    SELECT
        source,
        destination,
        count(*) AS count,
        min(time) AS first_seen,
        max(time) AS last_seen,
        evidence(log_id, time) AS evidence,
        names(policy) AS policies,
        count(*) FILTER (WHERE log_type = 'tcp') AS tcp,
        count(*) FILTER (WHERE log_type = 'http' AND response_code = 200) AS grpc_with_200
    FROM denied
    WHERE time >= $window_start
    GROUP BY source, destination
)
SELECT
    current.source,
    current.destination,
    count,
    first_seen,
    last_seen,
    evidence,
    policies,
    tcp,
    grpc_with_200,
    round(coalesce(baseline, 0.0), 1) AS baseline
FROM current
LEFT JOIN baselines ON baselines.source = current.source AND baselines.destination = current.destination
WHERE count >= $floor AND count >= $factor * coalesce(baseline, 0.0)
