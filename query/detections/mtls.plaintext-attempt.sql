/* ---
id = "mtls.plaintext-attempt"
version = 1
title = "Plaintext to a workload of the mesh"
severity = "medium"
window = "5m"
entity = ["source", "destination"]
summary = "{source} spoke plaintext to {destination} {count} times: {rejected} rejected by STRICT, {accepted} let in by the mTLS mode, of which a policy denied {denied}"
requires = ["transport_security | response_code_details", "transport_security | response_flags"]
reporters = ["destination", "ztunnel"]
signals = ["plaintext"]
attack = ["T1040"]
false_positives = "A workload outside the mesh that has always called this one, while the namespace is on its way to STRICT; a metrics scraper without a sidecar."
runbook = "The caller has no mesh identity: find the pod or host of the source address at that time. If it belongs to you, give it a sidecar or an exception by port; if not, somebody reaches pods around the mesh. Accepted calls mean that PeerAuthentication is not STRICT here, also where an AuthorizationPolicy then denied them."

[degraded]
transport_security = "plaintext that PERMISSIVE accepted: only what STRICT rejected is seen"
destination_principal = "which workload was called: destinations are services or addresses instead of identities"
source_ip = "who called: all sources are one, unknown"
"destination_principal | destination_service | destination_ip" = "who was called: all destinations are one, unknown"
--- */
WITH plaintext AS (
    SELECT
        log_id,
        time,
        coalesce(source_ip, 'unknown') AS source,
        proven_destination AS destination,
        destination_port,
        -- rejected: no filter chain of the inbound listener takes plaintext, and such a connection has no request; to a ztunnel STRICT is a policy of
        -- such a name. What another policy denied, the mTLS mode had let in
        coalesce(log_type = 'listener' AND has_flag(response_flags, 'NR') AND response_code_details = 'filter_chain_not_found', false)
            OR (reporter = 'ztunnel' AND rbac_decision = 'deny'
                AND coalesce(rbac_policy = 'istio_converted_static_strict' OR starts_with(rbac_policy, 'converted_peer_authentication_'), false)) AS rejected,
        rbac_decision = 'deny' AS denied,
        log_type = 'listener' AS listener,
        -- kubelet's probe: it has no identity, so everything about it must fit, the whole path included: a user agent is anybody's to claim
        NOT coalesce(has_flag(claims, 'path'), false) AND starts_with(user_agent, 'kube-probe/') AND method = 'GET' AND coalesce(bytes_received, 0) = 0 AND coalesce(bytes_sent, 0) <= 4096
            AND regexp_like(path, '^/(healthz?|livez?|readyz?|liveness|readiness|startup|startupz|ping|status|((health|healthz|actuator/health|q/health)/(live|liveness|ready|readiness|startup|started))|actuator/health|q/health|-/(healthy|ready)|app-health/[a-z0-9-]+/(livez|readyz|startupz))?$') AS probe
    FROM requests
    WHERE time >= $window_start AND time < $window_end
      AND transport_security = 'plaintext'
      -- gateways have public clients, and on a client's own line its application always speaks plaintext to its sidecar
      AND (reporter = 'destination' OR (reporter = 'ztunnel' AND direction = 'inbound'))
)
SELECT
    source,
    destination,
    count(*) AS count,
    min(time) AS first_seen,
    max(time) AS last_seen,
    evidence(log_id, time) AS evidence,
    count(*) FILTER (WHERE rejected) AS rejected,
    count(*) FILTER (WHERE NOT rejected) AS accepted,
    count(*) FILTER (WHERE denied AND NOT rejected) AS denied,
    names(CAST(destination_port AS VARCHAR)) AS ports
FROM plaintext
WHERE (rejected OR NOT listener) AND NOT coalesce(probe, false)
GROUP BY source, destination
