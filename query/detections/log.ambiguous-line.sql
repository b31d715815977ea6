/* ---
id = "log.ambiguous-line"
version = 1
title = "Access-log lines that a caller made ambiguous"
severity = "medium"
window = "5m"
entity = ["source", "destination"]
summary = "{count} lines of calls from {source} to {destination} can be read in more than one way; {denied} of them may have been denied"
requires = []
signals = ["ambiguous"]
attack = ["T1562.006"]
false_positives = "A client whose headers hold quotes and blanks in an unusual order, behind a text format; a collector that repeats a key of the line."
runbook = "A text format does not escape what a header holds, so a caller can write what looks like other fields, or keys of a JSON template. Look at the evidence rows: 'extra' keeps the ambiguous text whole. What such lines say of path, code and addresses is less than what happened: other detections may have missed them. Then log JSON by 'labels' instead of text: 'meshwarden format istio' prints it."

[degraded]
source_principal = "who wrote them: sources are addresses instead of identities"
"source_principal | source_ip" = "who it was: all callers are one source, unknown"
--- */
WITH ambiguous AS (
    SELECT
        log_id,
        time,
        proven_source AS source,
        proven_destination AS destination,
        rbac_decision = 'deny' AS denied
    FROM requests
    WHERE time >= $window_start AND time < $window_end
      AND signals & 16 <> 0
)
SELECT
    source,
    destination,
    count(*) AS count,
    min(time) AS first_seen,
    max(time) AS last_seen,
    evidence(log_id, time) AS evidence,
    count(*) FILTER (WHERE denied) AS denied
FROM ambiguous
GROUP BY source, destination
