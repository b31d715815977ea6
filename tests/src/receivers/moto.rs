//! moto: an S3-speaking server (PyPI), in memory, on loopback.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{ReceiverError, cache};

/// The releases that it takes.
const RELEASES: [&str; 3] = ["moto[s3]==5.2.5", "flask==3.1.3", "flask-cors==6.0.5"];
/// Longest time to open its port: Python reads much before.
const START: Duration = Duration::from_secs(60);
/// The bucket that is there.
pub const BUCKET: &str = "mesh";

/// A running moto, with one bucket. Killed when dropped, and with it what it holds.
#[derive(Debug)]
pub struct Moto {
    port: u16,
    child: Child,
}

impl Moto {
    /// Installs it if need be, and starts it; `folder` must exist and takes its log.
    ///
    /// # Errors
    /// If it cannot be installed or does not start.
    pub fn start(folder: &Path) -> Result<Self, ReceiverError> {
        let packages = cache::pip(&cache::folder("receivers")?, &RELEASES)?;
        let (port, log) = (cache::free_port()?, folder.join("moto.log"));
        let file = File::create(&log).map_err(ReceiverError::file(&log))?;
        let child = Command::new("python3")
            .env("PYTHONPATH", &packages)
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .map_err(|source| ReceiverError::Start { program: "python3 -m moto.server".to_owned(), source })?;
        let moto = Self { port, child };
        cache::wait("moto making a bucket", START, &log, || Ok(moto.make_bucket().ok().filter(|made| *made)))?;
        Ok(moto)
    }

    fn make_bucket(&self) -> std::io::Result<bool> {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        let mut stream = TcpStream::connect(address)?;
        let signed =
            "AWS4-HMAC-SHA256 Credential=x/20261201/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        let head = format!(
            "PUT /{BUCKET} HTTP/1.1\r\nhost: {address}\r\nauthorization: {signed}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200"))
    }

    /// What a client's environment has to say.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port)),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "key".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
        ]
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
