//! Formats as meshes configure them beside Istio's defaults: what an operator wrote into the MeshConfig, and what every Envoy of the mesh logs for it.

use serde_json::{Map, Value, json};

/// A format of a mesh's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CustomFormat {
    /// Its file in a pod's folder.
    pub file_name: &'static str,
    layout: Layout,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Text(&'static str),
    Json(&'static [(&'static str, &'static str)]),
    /// The text of its object.
    Objects(&'static str),
}

/// All of them: separated by tabs, as `key=value`, JSON with the company's own names, and JSON of objects, lists and texts.
pub const CUSTOM: [CustomFormat; 4] = [
    CustomFormat {
        file_name: "custom-tabs.log",
        layout: Layout::Text(concat!(
            "%START_TIME(%d/%b/%Y:%H:%M:%S.%3f %z)%\t%REQ(:METHOD)%\t%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%\t%PROTOCOL%\t",
            "%RESPONSE_CODE%\t%RESPONSE_FLAGS%\t%RESPONSE_CODE_DETAILS%\t%CONNECTION_TERMINATION_DETAILS%\t",
            "%UPSTREAM_TRANSPORT_FAILURE_REASON%\t%BYTES_RECEIVED%\t%BYTES_SENT%\t%DURATION%\t",
            "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%\t%REQ(X-FORWARDED-FOR)%\t%REQ(USER-AGENT)%\t%REQ(X-REQUEST-ID)%\t",
            "%REQ(:AUTHORITY)%\t%UPSTREAM_HOST%\t%UPSTREAM_CLUSTER_RAW%\t%UPSTREAM_LOCAL_ADDRESS%\t",
            "%DOWNSTREAM_LOCAL_ADDRESS%\t%DOWNSTREAM_REMOTE_ADDRESS%\t%REQUESTED_SERVER_NAME%\t%ROUTE_NAME%\n",
        )),
    },
    CustomFormat {
        file_name: "custom-pairs.log",
        layout: Layout::Text(concat!(
            "ts=%START_TIME(%s.%3f)% status=%RESPONSE_CODE% flags=%RESPONSE_FLAGS% details=%RESPONSE_CODE_DETAILS% ",
            "ended=%CONNECTION_TERMINATION_DETAILS% tls_error=\"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" ",
            "in=%BYTES_RECEIVED% out=%BYTES_SENT% ms=%DURATION% upstream_ms=%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% ",
            "cluster=%UPSTREAM_CLUSTER_RAW% host=%UPSTREAM_HOST% own=%UPSTREAM_LOCAL_ADDRESS% ",
            "local=%DOWNSTREAM_LOCAL_ADDRESS% remote=%DOWNSTREAM_REMOTE_ADDRESS% sni=%REQUESTED_SERVER_NAME% ",
            "route=%ROUTE_NAME% id=%REQ(X-REQUEST-ID)% xff=\"%REQ(X-FORWARDED-FOR)%\" to=\"%REQ(:AUTHORITY)%\" ",
            "call=\"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" agent=\"%REQ(USER-AGENT)%\"\n",
        )),
    },
    CustomFormat {
        file_name: "custom.jsonl",
        layout: Layout::Json(&[
            ("@timestamp", "%START_TIME%"),
            ("route", "%ROUTE_NAME%"),
            ("verb", "%REQ(:METHOD)%"),
            ("url", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"),
            ("proto", "%PROTOCOL%"),
            // misleading on purpose
            ("duration", "%RESPONSE_CODE%"),
            ("flags", "%RESPONSE_FLAGS%"),
            ("why", "%RESPONSE_CODE_DETAILS%"),
            ("ended", "%CONNECTION_TERMINATION_DETAILS%"),
            ("in", "%BYTES_RECEIVED%"),
            ("out", "%BYTES_SENT%"),
            ("ms", "%DURATION%"),
            ("upstream.ms", "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%"),
            ("xff", "%REQ(X-FORWARDED-FOR)%"),
            ("agent", "%REQ(USER-AGENT)%"),
            ("id", "%REQ(X-REQUEST-ID)%"),
            ("to", "%REQ(:AUTHORITY)%"),
            ("upstream", "%UPSTREAM_HOST%"),
            ("cluster", "%UPSTREAM_CLUSTER_RAW%"),
            ("own", "%UPSTREAM_LOCAL_ADDRESS%"),
            ("local", "%DOWNSTREAM_LOCAL_ADDRESS%"),
            ("remote", "%DOWNSTREAM_REMOTE_ADDRESS%"),
            ("sni", "%REQUESTED_SERVER_NAME%"),
            ("tls_error", "%UPSTREAM_TRANSPORT_FAILURE_REASON%"),
        ]),
    },
    CustomFormat {
        file_name: "custom-objects.jsonl",
        layout: Layout::Objects(
            r#"{
                "at": "%START_TIME%",
                "http": {
                    "request": "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%",
                    "answer": {"status": "%RESPONSE_CODE%", "flags": "%RESPONSE_FLAGS%", "why": "%RESPONSE_CODE_DETAILS%"},
                    "headers": ["%REQ(:AUTHORITY)%", "%REQ(USER-AGENT)%", "%REQ(X-REQUEST-ID)%", "%REQ(X-FORWARDED-FOR)%"]
                },
                "bytes": "%BYTES_RECEIVED% in, %BYTES_SENT% out",
                "ms": ["%DURATION%", "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%"],
                "from": "%DOWNSTREAM_REMOTE_ADDRESS%>%DOWNSTREAM_LOCAL_ADDRESS%",
                "to": {"host": "%UPSTREAM_HOST%", "cluster": "%UPSTREAM_CLUSTER_RAW%", "own": "%UPSTREAM_LOCAL_ADDRESS%",
                       "error": "%UPSTREAM_TRANSPORT_FAILURE_REASON%"},
                "route": "%ROUTE_NAME%", "sni": "%REQUESTED_SERVER_NAME%", "ended": "%CONNECTION_TERMINATION_DETAILS%"
            }"#,
        ),
    },
];

impl CustomFormat {
    /// The MeshConfig that has it, YAML.
    #[must_use]
    pub fn mesh_config(self) -> String {
        let (encoding, format) = match self.layout {
            Layout::Text(text) => ("TEXT", text.to_owned()),
            Layout::Json(_) | Layout::Objects(_) => ("JSON", self.labels().to_string()),
        };
        // JSON's strings are YAML's
        format!("accessLogFile: /dev/stdout\naccessLogEncoding: {encoding}\naccessLogFormat: {}\n", Value::from(format))
    }

    /// Envoy's `log_format`.
    pub(super) fn log_format(self) -> Value {
        match self.layout {
            Layout::Text(text) => json!({"text_format_source": {"inline_string": text}}),
            Layout::Json(_) | Layout::Objects(_) => json!({"json_format": self.labels()}),
        }
    }

    fn labels(self) -> Value {
        let pairs: &[(&str, &str)] = match self.layout {
            Layout::Json(pairs) => pairs,
            // a test of the mesh's finds out if it is none
            Layout::Objects(text) => return text.parse().unwrap_or_default(),
            Layout::Text(_) => &[],
        };
        pairs.iter().map(|(label, operator)| ((*label).to_owned(), json!(operator))).collect::<Map<_, _>>().into()
    }
}
