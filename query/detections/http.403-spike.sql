/* ---
id = "http.403-spike"
version = 1
title = "Spike of 403 answers by the application itself"
severity = "medium"
window = "5m"
lookback = "1h"
entity = ["source", "destination", "route"]
summary = "{source} got {count} times 403 from {destination} itself on {route}, against {baseline} per window before the burst"
requires = ["response_code", "response_code_details", "upstream_cluster"]
reporters = ["destination", "waypoint"]
signals = ["app_403"]
attack = ["T1190"]
false_positives = "An expired session or a revoked role of one busy client; a deployment that changes permissions."
runbook = "The answer came from the application, not from a mesh policy. Look at the evidence rows: many ids on one route mean enumeration, one id means a broken client. Ask the owner of the destination what it refused."

[degraded]
source_principal = "who was refused: sources are addresses instead of identities"
destination_principal = "who refused: destinations are services or addresses instead of identities"
path = "what was refused: all routes are one, unknown"
"source_principal | source_ip" = "who it was: all callers are one source, unknown"
"destination_principal | destination_service | destination_ip" = "who was called: all destinations are one, unknown"

[params]
floor = 20
factor = 5
--- */
WITH refused AS (
    -- only the server's own line: on a client's or a gateway's line, 403 via_upstream may be the remote sidecar's policy
    SELECT
        log_id,
        time,
        proven_source AS source,
        proven_destination AS destination,
        -- a caller that chooses the path, and another each time, is still one
        CASE WHEN coalesce(has_flag(claims, 'path'), false) THEN 'any route' ELSE coalesce(path_template(path), 'unknown') END AS route,
        path
    FROM requests
    WHERE time >= $lookback_start AND time < $window_end
      AND response_code = 403
      AND response_code_details = 'via_upstream'
      AND reporter IN ('destination', 'waypoint')
),
earlier AS (
    SELECT
        source,
        destination,
        route,
        count(*) AS n,
        -- 1 = the window before this one, 12 = the oldest
        (CAST(date_part('epoch', $window_start) AS BIGINT) - CAST(date_part('epoch', date_bin(INTERVAL '5 minutes', time)) AS BIGINT)) / 300 AS back
    FROM refused
    WHERE time < $window_start
    GROUP BY source, destination, route, back
),
marked AS (
    -- a burst that began in the two windows before is no baseline for its own end: an attack over a window's edge is found whole
    SELECT *, n >= $floor AND back <= 2 AND back = row_number() OVER (PARTITION BY source, destination, route, n >= $floor ORDER BY back) AS in_run
    FROM earlier
),
baselines AS (
    -- refusals a window in the hour before, the burst's own windows left out; a window without any is a window of 0
    SELECT
        source,
        destination,
        route,
        coalesce(sum(n) FILTER (WHERE NOT in_run), 0) / (12.0 - count(*) FILTER (WHERE in_run)) AS baseline
    FROM marked
    GROUP BY source, destination, route
),
current AS (
    SELECT
        source,
        destination,
        route,
        count(*) AS count,
        min(time) AS first_seen,
        max(time) AS last_seen,
        evidence(log_id, time) AS evidence,
        min(path) AS first_path
    FROM refused
    WHERE time >= $window_start
    GROUP BY source, destination, route
)
SELECT
    current.source,
    current.destination,
    current.route,
    count,
    first_seen,
    last_seen,
    evidence,
    first_path,
    round(coalesce(baseline, 0.0), 1) AS baseline
FROM current
LEFT JOIN baselines ON baselines.source = current.source AND baselines.destination = current.destination AND baselines.route = current.route
WHERE count >= $floor AND count >= $factor * coalesce(baseline, 0.0)
