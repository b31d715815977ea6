-- What `meshwarden scan` looks for, in DuckDB's words: the four built-in detections (query/detections/*.sql) over one file in the recommended
-- format, all windows at once. The variable `file` is the file. Result: the table `findings`.
--
--   file ── the 31 keys that a detection needs, one pass ──▶ lines that some detection could want ──▶ logs ──▶ four queries ──▶ findings
--
-- DuckDB is spared what meshwarden does beside: columns that no detection reads, rejects, the summary per edge and minute, rows' places in
-- the file (evidence is `rowid`), repeated keys, escapes in paths. Derived columns are computed for the few lines that are kept.

CREATE MACRO principal(sans) AS nullif(regexp_extract(sans, 'spiffe://([^,]+)', 1), '');
CREATE MACRO ip(address) AS nullif(regexp_replace(address, ':\d+$', ''), '');
CREATE MACRO is_gateway(pod, account) AS
    regexp_matches(pod, '(^|-)(ingress|egress|east-?west)-?gateway(-|$)|^(istio-)?gateway(-|$)|-istio$')
    OR regexp_matches(account, '(^|-)(ingress|egress|east-?west)-?gateway(-|$)|^(istio-)?gateway(-|$)|-istio$');

-- The pass. Who wrote a line (meshwarden's `reporter`) follows from cluster, route and details; a denial is what the details say.
CREATE TEMP TABLE logs AS
WITH raw AS (
    SELECT * REPLACE (CASE WHEN upstream_cluster LIKE '%;' THEN left(upstream_cluster, -1) ELSE upstream_cluster END AS upstream_cluster)
    FROM read_json(getvariable('file'), format = 'newline_delimited', columns = {
        start_time: 'TIMESTAMP', access_log_type: 'VARCHAR', upstream_cluster: 'VARCHAR', route_name: 'VARCHAR',
        response_code: 'INTEGER', response_code_details: 'VARCHAR', connection_termination_details: 'VARCHAR', response_flags: 'VARCHAR',
        downstream_tls_version: 'VARCHAR', downstream_peer_uri_san: 'VARCHAR', downstream_local_uri_san: 'VARCHAR',
        upstream_local_uri_san: 'VARCHAR', upstream_peer_uri_san: 'VARCHAR', peer_principal: 'VARCHAR',
        downstream_remote_address: 'VARCHAR', downstream_direct_remote_address: 'VARCHAR', downstream_local_address: 'VARCHAR',
        upstream_local_address: 'VARCHAR', upstream_host: 'VARCHAR', requested_server_name: 'VARCHAR', authority: 'VARCHAR',
        downstream_transport_failure_reason: 'VARCHAR', pod_name: 'VARCHAR', pod_namespace: 'VARCHAR', pod_service_account: 'VARCHAR',
        method: 'VARCHAR', path: 'VARCHAR', protocol: 'VARCHAR', user_agent: 'VARCHAR', bytes_received: 'BIGINT', bytes_sent: 'BIGINT'
    })
    -- only what ends counts: starts and periodic lines repeat it
    WHERE access_log_type IS NULL OR access_log_type IN ('DownstreamEnd', 'TcpConnectionEnd', 'UdpSessionEnd', 'NotSet')
),
judged AS (
    SELECT
        *,
        starts_with(coalesce(response_code_details, ''), 'rbac_access_denied')
            OR starts_with(coalesce(connection_termination_details, ''), 'rbac_access_denied') AS denied,
        coalesce(response_code_details = 'filter_chain_not_found' AND list_contains(string_split(response_flags, ','), 'NR'), false)
            AS no_filter_chain
    FROM raw
),
reported AS (
    SELECT
        *,
        CASE
            WHEN starts_with(upstream_cluster, 'inbound|') OR starts_with(upstream_cluster, 'InboundPassthroughCluster') THEN 'destination'
            WHEN starts_with(upstream_cluster, 'inbound-vip|') THEN 'waypoint'
            WHEN upstream_cluster IN ('PassthroughCluster', 'AllowAnyDynamicDNSCluster', 'BlackHoleCluster') THEN 'source'
            WHEN starts_with(upstream_cluster, 'outbound_.') THEN 'gateway'
            WHEN route_name IN ('block_all', 'allow_any', 'allow_any_dynamic_dns') AND NOT denied THEN 'source'
            -- a sidecar denies nothing on its way out, ends no TLS and is not called itself
            WHEN starts_with(upstream_cluster, 'outbound|') THEN CASE
                WHEN denied OR starts_with(response_code_details, 'jwt_authn_access_denied') OR downstream_tls_version IS NOT NULL
                    OR (protocol IS NOT NULL AND requested_server_name IS NOT NULL)
                    OR (ip(downstream_local_address) = ip(upstream_local_address)
                        AND ip(downstream_direct_remote_address) <> ip(upstream_local_address))
                    OR (is_gateway(pod_name, pod_service_account)
                        AND ip(downstream_direct_remote_address) IS DISTINCT FROM ip(upstream_local_address)) THEN 'gateway'
                ELSE 'source' END
            WHEN no_filter_chain OR denied THEN CASE
                WHEN is_gateway(pod_name, pod_service_account) OR (denied AND NOT no_filter_chain AND upstream_cluster IS NULL) THEN 'gateway'
                ELSE 'destination' END
            -- the black hole of Istio 1.9
            WHEN upstream_cluster IS NULL AND upstream_host IS NULL AND method IS NULL AND protocol IS NULL
                AND list_contains(string_split(response_flags, ','), 'UH') AND NOT is_gateway(pod_name, pod_service_account) THEN 'source'
        END AS reporter
    FROM judged
),
told AS (
    SELECT
        *,
        CASE WHEN reporter = 'source' THEN CASE
            WHEN upstream_cluster IN ('PassthroughCluster', 'AllowAnyDynamicDNSCluster') THEN 'passthrough'
            WHEN upstream_cluster = 'BlackHoleCluster' OR route_name = 'block_all' THEN 'blackhole'
            WHEN upstream_cluster IS NULL AND route_name IN ('allow_any', 'allow_any_dynamic_dns') THEN 'passthrough' END
        END AS egress,
        -- turned away and not TLS, or accepted without TLS; the format logs the TLS version, so null means none
        reporter = 'destination' AND downstream_tls_version IS NULL
            -- no identity of a completed handshake
            AND (access_log_type = 'NotSet' OR no_filter_chain OR downstream_transport_failure_reason IS NOT NULL
                OR coalesce(downstream_peer_uri_san, peer_principal) IS NULL)
            AND CASE
                WHEN NOT no_filter_chain THEN NOT starts_with(coalesce(downstream_direct_remote_address, ''), 'envoy://')
                WHEN regexp_matches(downstream_transport_failure_reason, 'HTTP_REQUEST|WRONG_VERSION_NUMBER|HTTPS_PROXY_REQUEST') THEN true
                ELSE requested_server_name IS NULL AND downstream_transport_failure_reason IS NULL END AS plaintext,
        response_code = 403 AND response_code_details = 'via_upstream' AND reporter IN ('destination', 'waypoint') AS app_403
    FROM reported
)
SELECT
    start_time AS time,
    time_bucket(INTERVAL '5 minutes', start_time) AS win,
    reporter,
    egress,
    coalesce(denied AND reporter IN ('destination', 'waypoint', 'gateway'), false) AS denied,
    coalesce(plaintext, false) AS plaintext,
    coalesce(app_403, false) AS app_403,
    no_filter_chain,
    CASE reporter
        WHEN 'source' THEN coalesce(principal(upstream_local_uri_san), 'cluster.local/ns/' || pod_namespace || '/sa/' || pod_service_account)
        ELSE coalesce(principal(downstream_peer_uri_san), principal(peer_principal)) END AS source_principal,
    coalesce(ip(downstream_direct_remote_address),
        CASE WHEN downstream_remote_address NOT LIKE '%:0' THEN ip(downstream_remote_address) END) AS source_ip,
    CASE reporter
        WHEN 'destination' THEN
            coalesce(principal(downstream_local_uri_san), 'cluster.local/ns/' || pod_namespace || '/sa/' || pod_service_account)
        WHEN 'waypoint' THEN NULL
        ELSE principal(upstream_peer_uri_san) END AS destination_principal,
    coalesce(nullif(split_part(upstream_cluster, '|', 4), ''),
        nullif(regexp_extract(requested_server_name, '^outbound_\.\d+_\.[^_]*_\.(.+)$', 1), ''),
        nullif(lower(regexp_replace(authority, '\.?(:\d+)?$', '')), '')) AS destination_service,
    CASE WHEN reporter = 'source' THEN coalesce(upstream_host, downstream_local_address) ELSE downstream_local_address END AS destination,
    lower(regexp_replace(coalesce(authority, requested_server_name), '\.?(:\d+)?$', '')) AS asked_host,
    coalesce(nullif(regexp_extract(coalesce(
        CASE WHEN starts_with(response_code_details, 'rbac') THEN response_code_details END,
        connection_termination_details), 'policy\[(ns\[.*\])\]$', 1), ''), 'no policy allowed it') AS policy,
    access_log_type, response_code, method, path, user_agent,
    coalesce(bytes_received, 0) AS bytes_received,
    coalesce(bytes_sent, 0) AS bytes_sent
FROM told
WHERE denied OR plaintext OR app_403 OR egress IS NOT NULL;

CREATE TABLE findings (
    detection VARCHAR, win TIMESTAMP, source VARCHAR, target VARCHAR, route VARCHAR, count BIGINT, first_seen TIMESTAMP, last_seen TIMESTAMP,
    evidence BIGINT[], baseline DOUBLE, facts VARCHAR
);

-- authz.denied-spike and http.403-spike: at least 20 in a window and 5 times the mean of the twelve windows before, the burst's own left out.
CREATE TEMP TABLE spikes AS
SELECT
    'authz.denied-spike' AS detection,
    rowid AS log_id, time, win,
    coalesce(source_principal, source_ip, 'unknown') AS source,
    coalesce(destination_principal, destination_service, ip(destination), 'unknown') AS target,
    '' AS route,
    policy AS fact
FROM logs WHERE denied
UNION ALL
SELECT
    'http.403-spike',
    rowid, time, win,
    coalesce(source_principal, source_ip, 'unknown'),
    coalesce(destination_principal, destination_service, ip(destination), 'unknown'),
    -- ids become {id}: numbers, hexadecimal of 8 digits and more, 6 characters and more with three digits among them
    array_to_string([CASE
        WHEN regexp_full_match(part, '\d+') OR (regexp_full_match(part, '[0-9a-fA-F-]{8,}') AND regexp_matches(part, '\d'))
            OR (length(part) >= 6 AND length(regexp_replace(part, '\D', '', 'g')) >= 3) THEN '{id}'
        ELSE part END FOR part IN string_split(regexp_replace(path, '[?#].*$', ''), '/')], '/'),
    path
FROM logs WHERE app_403;

INSERT INTO findings
WITH windows AS (
    SELECT
        detection, source, target, route, win,
        count(*) AS n, min(time) AS first_seen, max(time) AS last_seen,
        list(log_id ORDER BY time, log_id)[1:20] AS evidence,
        coalesce(string_agg(DISTINCT fact, ', ' ORDER BY fact) FILTER (WHERE detection = 'authz.denied-spike'), min(fact)) AS facts
    FROM spikes
    GROUP BY detection, source, target, route, win
),
earlier AS (
    SELECT
        now.detection, now.source, now.target, now.route, now.win, before.n,
        -- 1 = the window before this one, 12 = the oldest
        date_diff('second', before.win, now.win) // 300 AS back
    FROM windows AS now
    JOIN windows AS before USING (detection, source, target, route)
    WHERE now.n >= 20 AND before.win < now.win AND before.win >= now.win - INTERVAL '1 hour'
),
marked AS (
    SELECT *, n >= 20 AND back <= 2
        AND back = row_number() OVER (PARTITION BY detection, source, target, route, win, n >= 20 ORDER BY back) AS in_run
    FROM earlier
),
baselines AS (
    SELECT detection, source, target, route, win,
        coalesce(sum(n) FILTER (WHERE NOT in_run), 0) / (12.0 - count(*) FILTER (WHERE in_run)) AS baseline
    FROM marked
    GROUP BY detection, source, target, route, win
)
SELECT detection, win, source, target, route, n, first_seen, last_seen, evidence, round(coalesce(baseline, 0.0), 1), facts
FROM windows LEFT JOIN baselines USING (detection, source, target, route, win)
WHERE n >= 20 AND n >= 5 * coalesce(baseline, 0.0);

-- mtls.plaintext-attempt: whoever spoke plaintext to a destination, kubelet's probes excepted.
INSERT INTO findings
WITH attempts AS (
    SELECT
        rowid AS log_id, time, win,
        coalesce(source_ip, 'unknown') AS source,
        coalesce(destination_principal, destination_service, ip(destination), 'unknown') AS target,
        regexp_extract(destination, ':(\d+)$', 1) AS port,
        no_filter_chain AS rejected,
        no_filter_chain OR access_log_type = 'NotSet' AS listener,
        coalesce(starts_with(user_agent, 'kube-probe/') AND method = 'GET' AND bytes_received = 0 AND bytes_sent <= 4096
            AND regexp_matches(path, '^/(healthz?|livez?|readyz?|liveness|readiness|startup|startupz|ping|status|((health|healthz|actuator/health|q/health)/(live|liveness|ready|readiness|startup|started))|actuator/health|q/health|-/(healthy|ready)|app-health/[a-z0-9-]+/(livez|readyz|startupz))?$'), false)
            AS probe
    FROM logs WHERE plaintext
)
SELECT
    'mtls.plaintext-attempt', win, source, target, '', count(*), min(time), max(time), list(log_id ORDER BY time, log_id)[1:20], NULL,
    format('{} rejected, {} accepted, ports {}', count(*) FILTER (WHERE rejected), count(*) FILTER (WHERE NOT rejected),
        string_agg(DISTINCT port, ', ' ORDER BY port))
FROM attempts
WHERE (rejected OR NOT listener) AND NOT probe
GROUP BY win, source, target;

-- egress.unknown-host: whoever called a host that the mesh does not know.
INSERT INTO findings
WITH calls AS (
    SELECT
        rowid AS log_id, time, win,
        coalesce(source_principal, source_ip, 'unknown') AS source,
        coalesce(asked_host, ip(destination), 'unknown') AS target,
        ip(destination) AS address,
        egress = 'blackhole' AS blocked,
        bytes_received AS bytes_out
    FROM logs WHERE egress IS NOT NULL
)
SELECT
    'egress.unknown-host', win, source, target, '', count(*), min(time), max(time), list(log_id ORDER BY time, log_id)[1:20], NULL,
    format('{} blocked, {} passed, {} bytes, addresses {}', count(*) FILTER (WHERE blocked), count(*) FILTER (WHERE NOT blocked),
        sum(bytes_out), array_to_string(list(DISTINCT address ORDER BY address)[1:10], ', '))
FROM calls
GROUP BY win, source, target;
