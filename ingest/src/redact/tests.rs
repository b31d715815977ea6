//! Tables of what is found where; the properties of the four doors are in `tests/properties.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used)]
mod properties;

use std::time::{Duration, Instant};

use super::*;
use crate::fields::json_string;
use crate::key::Key;

const TOKEN: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJib2IifQ.c2ln";

fn text(value: &str) -> String {
    Redaction::default().text(value).into_owned()
}

fn json(value: &str) -> String {
    Redaction::default().json(value).into_owned()
}

fn bytes(value: &str) -> String {
    String::from_utf8(Redaction::default().bytes(value.as_bytes()).into_owned()).unwrap()
}

#[test]
fn parameters_of_urls() {
    for (url, redacted) in [
        ("/cb?state=7&code=4/0Ab&scope=a", "/cb?state=7&code=[redacted]&scope=a"),
        ("/?token=a==", "/?token=[redacted]"),
        ("/?TOKEN=a&Access-Token=b&accessToken=c", "/?TOKEN=[redacted]&Access-Token=[redacted]&accessToken=[redacted]"),
        ("/?%74oken=a&%2574oken=b", "/?%74oken=[redacted]&%2574oken=[redacted]"),
        ("/?X-Amz-Credential=a&X-Amz-Signature=b", "/?X-Amz-Credential=a&X-Amz-Signature=[redacted]"),
        ("/?user[password]=a&user%5Bname%5D=b", "/?user[password]=[redacted]&user%5Bname%5D=b"),
        ("/?user%5Bpassword%5D%5B%5D=a&pin[0]=b", "/?user%5Bpassword%5D%5B%5D=[redacted]&pin[0]=[redacted]"),
        ("/?session[user]=a&session[pass]=b", "/?session[user]=a&session[pass]=[redacted]"),
        ("/?user.password=a", "/?user.password=[redacted]"),
        ("/a#access_token=b&token_type=c", "/a#access_token=[redacted]&token_type=c"),
        ("/a?x=1#/in?token=b", "/a?x=1#/in?token=[redacted]"),
        ("/a?x=1;token=b;y=2", "/a?x=1;token=[redacted];y=2"),
        // a piece without a name is more of the value
        ("/a?password=a;b&x=1", "/a?password=[redacted]&x=1"),
        ("/a?password=a;&x=1", "/a?password=[redacted];&x=1"),
        ("/?token=a;token%3Db?token=c", "/?token=[redacted];token%3D[redacted]"),
        ("token%3Da=;b/?token=c/d", "token%3D[redacted];b/?token=[redacted]"),
        ("/a;jsessionid=b/c;v=2?x=1", "/a;jsessionid=[redacted]/c;v=2?x=1"),
        ("/a;jsessionid=b?token=c/d?e", "/a;jsessionid=[redacted]?token=[redacted]"),
        ("/reset/token=a/done", "/reset/token=[redacted]/done"),
        ("https://a.example/x?pwd=a/b", "https://a.example/x?pwd=[redacted]"),
        ("https://a.example/;sid=1;sig=a/b", "https://a.example/;sid=1;sig=[redacted]/b"),
        // queries alone
        ("token=a/b", "token=[redacted]"),
        ("grant_type=password&password=a", "grant_type=password&password=[redacted]"),
        // a URL within a parameter
        ("/?next=/cb?code=a&x=1", "/?next=/cb?code=[redacted]&x=1"),
        (
            "/?next=%2Fcb%3Fcode%3Da%26x%3D1%26sig%3Db%23c&y=2",
            "/?next=%2Fcb%3Fcode%3D[redacted]%26x%3D1%26sig%3D[redacted]%23c&y=2",
        ),
        ("/?next=%253Ftoken%253Da%2526b%26c", "/?next=%253Ftoken%253D[redacted]%2526b%26c"),
        // an encoded separator belongs to a value that is not encoded itself
        ("/?token=a%26b%3Dc&x=1", "/?token=[redacted]&x=1"),
        ("/?token%3Da%26b", "/?token%3D[redacted]%26b"),
        // nothing to hide
        ("/?token=&x=1", "/?token=&x=1"),
        (
            "/?password1=a&new_password2=b&c%6Fde1=c",
            "/?password1=[redacted]&new_password2=[redacted]&c%6Fde1=[redacted]",
        ),
        ("/?auth_code=a&authorizationCode=b&sha256=c", "/?auth_code=[redacted]&authorizationCode=[redacted]&sha256=c"),
        ("/?token=[redacted]", "/?token=[redacted]"),
        (
            "/?userPassword=a&page_token=b&new-api-key=c",
            "/?userPassword=[redacted]&page_token=b&new-api-key=[redacted]",
        ),
        (r#"/?q={"token":"a","x":1}"#, r#"/?q={"token":"[redacted]","x":1}"#),
        (
            "/?q-signature=a&x-oss-signature=b&gitlab_token=c&deployToken=d&oauth2_token=e&data[bot_token]=f&a.securityToken=g&bearer=h&verify_token2=i",
            "/?q-signature=[redacted]&x-oss-signature=[redacted]&gitlab_token=[redacted]&deployToken=[redacted]&oauth2_token=[redacted]&data[bot_token]=[redacted]&a.securityToken=[redacted]&bearer=[redacted]&verify_token2=[redacted]",
        ),
        (
            "/?nextPageToken=a&next_token=b&x-continuation-token=c&a[page_token]=d&pagination_token=e&a.b.nextToken=f",
            "/?nextPageToken=a&next_token=b&x-continuation-token=c&a[page_token]=d&pagination_token=e&a.b.nextToken=f",
        ),
        ("/?key=a&id=b&state=c&tokens=d&monkey=e&xtoken=f", "/?key=a&id=b&state=c&tokens=d&monkey=e&xtoken=f"),
        ("/?q=token=a&b=code", "/?q=token=a&b=code"),
        ("/code/token/a", "/code/token/a"),
        ("/?%=a&%zz=b&%25252=c&=d", "/?%=a&%zz=b&%25252=c&=d"),
        ("", ""),
    ] {
        assert_eq!(text(url), redacted, "{url}");
    }
}

#[test]
fn passwords_before_a_host() {
    let of = |key, value| Redaction::default().of(key, value).into_owned();
    for (value, expected) in [
        ("user:S3cret@orders:8080", "user:[redacted]@orders:8080"),
        ("user:S3@cret@orders", "user:[redacted]@orders"),
        ("user:[redacted]@orders", "user:[redacted]@orders"),
        ("user@orders:8080", "user@orders:8080"),
        ("orders:8080", "orders:8080"),
    ] {
        assert_eq!(of(Key::Authority, value), expected);
        assert_eq!(of(Key::OriginalHost, value), expected);
    }
    assert_eq!(of(Key::UserAgent, "a:b@c"), "a:b@c");
    assert_eq!(Redaction::none().of(Key::Authority, "user:S3cret@orders"), "user:S3cret@orders");
}

#[test]
fn tokens_by_their_shape() {
    let encoded = TOKEN.replace('.', "%2E");
    let encoded_twice = TOKEN.replace('.', "%252e");
    for (given, redacted) in [
        (TOKEN.to_owned(), "[redacted-jwt]"),
        (format!("/verify/{TOKEN}/x"), "/verify/[redacted-jwt]/x"),
        (format!("/?q={TOKEN}&x=1"), "/?q=[redacted-jwt]&x=1"),
        (format!("/?token={TOKEN}&x=1"), "/?token=[redacted]&x=1"),
        (format!("/?q={encoded}&r={encoded_twice}"), "/?q=[redacted-jwt]&r=[redacted-jwt]"),
        (format!("curl/8 (Bearer {TOKEN})"), "curl/8 (Bearer [redacted-jwt])"),
        (format!("a{TOKEN},{TOKEN}"), "a[redacted-jwt],[redacted-jwt]"),
        ("eyJhbGciOiJub25lIn0.e30.".to_owned(), "[redacted-jwt]"),
        ("eyJhbGciOiJkaXIifQ..aXY.Y2lwaGVy.dGFn.json".to_owned(), "[redacted-jwt].json"),
        // headers with white space
        ("/a?x=ewogICJhbGciOiAibm9uZSIKfQ.e30.c2ln".to_owned(), "/a?x=[redacted-jwt]"),
        (
            "/a?x=ew0KICJhbGciOiAibm9uZSIKfQ.e30.&y=eyAiYWxnIjoibm9uZSJ9.e30.".to_owned(),
            "/a?x=[redacted-jwt]&y=[redacted-jwt]",
        ),
        ("/a?x=ewog.tar.gz&y=eyAi.x.y".to_owned(), "/a?x=ewog.tar.gz&y=eyAi.x.y"),
        // two tokens one behind the other half of a third
        (format!("eyJa/eyJb.c/{TOKEN}"), "eyJa/eyJb.c/[redacted-jwt]"),
        ("eyJa.b eyJ J yJ eyJ. EYJA.b.c".to_owned(), "eyJa.b eyJ J yJ eyJ. EYJA.b.c"),
    ] {
        assert_eq!(text(&given), redacted, "{given}");
        if !redacted.contains("[redacted]") {
            assert_eq!(Redaction::default().words(&given), redacted, "{given}");
        }
    }
}

#[test]
fn words_that_a_caller_writes() {
    for (given, redacted) in [
        ("curl/8 token=abc x", "curl/8 token=[redacted] x"),
        ("password=abc", "password=[redacted]"),
        ("a?token=b", "a?token=[redacted]"),
        ("sid=1; token=abc; x=2", "sid=1; token=[redacted]; x=2"),
        ("Bearer abcdefgh", "Bearer [redacted]"),
        ("curl Authorization: Bearer abc", "curl Authorization: Bearer [redacted]"),
        ("bot (+https://user:pass@host/)", "bot (+https://user:[redacted]@host/)"),
        ("basic YWJjOmRlZg==", "basic [redacted]"),
        // a status, words of a sentence, too short to be a credential
        ("x code=403 y", "x code=403 y"),
        ("curl/8 Authorization: abc", "curl/8 Authorization: [redacted]"),
        ("Authorization: Token abc def, x", "Authorization: [redacted], x"),
        ("X-Api-Key: abc", "X-Api-Key: [redacted]"),
        ("a password: abc def", "a password: [redacted] def"),
        ("Cookie: a=b; sid=c", "Cookie: [redacted]"),
        ("adminPassword=abc my_access_token=d", "adminPassword=[redacted] my_access_token=[redacted]"),
        (r#"post {"token":"abc"}"#, r#"post {"token":"[redacted]"}"#),
        // hosts and their ports, statuses
        ("auth:8080", "auth:8080"),
        ("session.shop:80", "session.shop:80"),
        ("code: 403", "code: 403"),
        ("cookies: 7", "cookies: 7"),
        ("token: -", "token: -"),
        ("Bearer of bad news", "Bearer of bad news"),
        ("Basic auth", "Basic auth"),
        ("Mozilla/5.0 (X11; Linux x86_64)", "Mozilla/5.0 (X11; Linux x86_64)"),
    ] {
        assert_eq!(Redaction::default().words(given), redacted, "{given}");
    }
}

#[test]
fn the_users_part_of_a_url() {
    for (given, redacted) in [
        ("https://user:pass@host/a?x=1", "https://user:[redacted]@host/a?x=1"),
        ("https://user:p@ss:w@host", "https://user:[redacted]@host"),
        ("/login?next=https://u:p@h/", "/login?next=https://u:[redacted]@h/"),
        ("https://user@host:8080/a", "https://user@host:8080/a"),
        ("https://host:8080/a@b:c", "https://host:8080/a@b:c"),
        ("https://user:@host", "https://user:@host"),
        ("a@b:c@d", "a@b:c@d"),
    ] {
        assert_eq!(text(given), redacted, "{given}");
        assert_eq!(bytes(&format!("x \"{given}\"")), format!("x \"{redacted}\""));
    }
}

#[test]
fn strings_and_members_of_json() {
    let jwt = format!(r#"{{"a":["{TOKEN}"]}}"#);
    for (given, redacted) in [
        (r#""/?token=a""#, r#""/?token=[redacted]""#),
        (r#""\/?x=\"1\"\u0026\u0074oken=a\u0026\u00e9""#, r#""/?x=\"1\"&token=[redacted]&é""#),
        (
            r#"{ "authorization" : "Bearer a\"b" , "cookie":["a=b","c=d"],"n":1e400}"#,
            r#"{ "authorization" : "[redacted]" , "cookie":["[redacted]","[redacted]"],"n":1e400}"#,
        ),
        (
            r#"{"auth":{"user":"a","password":{"b":["c",1,null,true,"",{"d":"-"}]}},"e":"f"}"#,
            r#"{"auth":{"user":"[redacted]","password":{"b":["[redacted]",1,null,true,"",{"d":"-"}]}},"e":"f"}"#,
        ),
        (r#"{"otp":123456,"pin": -1.5e3 ,"a":"b"}"#, r#"{"otp":"[redacted]","pin": "[redacted]" ,"a":"b"}"#),
        (r#"{"token":true,"x":"Bearer abcdefgh"}"#, r#"{"token":true,"x":"Bearer [redacted]"}"#),
        (
            r#"{"x-api-key":"a","apiKey":"b","request.headers.cookie":"c"}"#,
            r#"{"x-api-key":"[redacted]","apiKey":"[redacted]","request.headers.cookie":"[redacted]"}"#,
        ),
        (r#"{"\u0074oken":"a"}"#, r#"{"\u0074oken":"[redacted]"}"#),
        (r#"{"code":"UNAVAILABLE","key":"a","state":"b"}"#, r#"{"code":"UNAVAILABLE","key":"a","state":"b"}"#),
        (r#"{"/?token=a":{"b":"c"}}"#, r#"{"/?token=[redacted]":{"b":"c"}}"#),
        (r#"{"token":[],"a":"b"}"#, r#"{"token":[],"a":"b"}"#),
        (r#"[{"token":1},"a",{"b":"c"}]"#, r#"[{"token":"[redacted]"},"a",{"b":"c"}]"#),
        (jwt.as_str(), r#"{"a":["[redacted-jwt]"]}"#),
        // no JSON, or none that can be decoded
        (r#""\ud83d?token=a""#, r#""[redacted]""#),
        (r#"{"token":"a"#, r#"{"token":"[redacted]""#),
        ("", ""),
    ] {
        assert_eq!(json(given), redacted, "{given}");
    }
}

#[test]
fn strings_of_json_that_are_no_urls() {
    for (given, redacted) in [
        ("X-Api-Key: S1", "X-Api-Key: [redacted]"),
        ("Authorization: Bearer S2", "Authorization: Bearer [redacted]"),
        ("see token=S3", "see token=[redacted]"),
        // as of a line that can be read in several ways: what follows the value is evidence
        ("GET /a?code=S HTTP/1.1\" 403 - x", "GET /a?code=[redacted] HTTP/1.1\" 403 - x"),
        ("/a?token=b/c", "/a?token=[redacted]"),
    ] {
        let redacted = format!("{{\"x\":{}}}", json_string(redacted));
        assert_eq!(json(&format!("{{\"x\":{}}}", json_string(given))), redacted);
    }
    assert_eq!(text("/a?d=Authorization: Bearer S4"), "/a?d=Authorization: Bearer [redacted]");
    assert_eq!(Redaction::default().words("denied: token: expired at 7"), "denied: token: [redacted] at 7");
}

#[test]
fn what_looks_like_a_secret_in_any_bytes() {
    let line = format!("\"GET /{TOKEN} HTTP/1.1\"");
    for (given, redacted) in [
        (r#"[x] "GET /a?code=b&c=d HTTP/1.1" 200"#, r#"[x] "GET /a?code=[redacted]&c=d HTTP/1.1" 200"#),
        (r#"{"path":"/a?x=1\u0026token=b\u0026y=2","#, r#"{"path":"/a?x=1\u0026token=[redacted]\u0026y=2","#),
        (r#"{"body":"password=a b"#, r#"{"body":"password=[redacted] b"#),
        (r#"{"log":"{\"url\":\"?token=a\"}"}"#, r#"{"log":"{\"url\":\"?token=[redacted]\"}"}"#),
        ("a ;token=b; rv:1", "a ;token=[redacted]; rv:1"),
        ("?token=a#b ?token=c\td", "?token=[redacted]#b ?token=[redacted]\td"),
        (r#"{"authorization" : "Basic YQ==","#, r#"{"authorization" : "[redacted]","#),
        (r#"{"log":"{\"token\": \"a\\\"b\",\"c\":1}"}"#, r#"{"log":"{\"token\": \"[redacted]\",\"c\":1}"}"#),
        (r#"{"secret":"a\\","b":"c"}"#, r#"{"secret":"[redacted]","b":"c"}"#),
        (r#"{"secret":"a\"b","c":"d"#, r#"{"secret":"[redacted]","c":"d"#),
        (r#"{"secret":"cut of"#, r#"{"secret":"[redacted]"#),
        (r#"{"secret":null,"token":"-","pin":""}"#, r#"{"secret":null,"token":"-","pin":""}"#),
        ("Authorization: Bearer abc, x", "Authorization: Bearer [redacted], x"),
        ("-H 'authorization: basic YQ=='", "-H 'authorization: basic [redacted]'"),
        ("?authorization=Bearer abc d", "?authorization=[redacted] [redacted] d"),
        ("a Bearer b, Basic c", "a Bearer b, Basic c"),
        (r#"{"a":"Bearer abcdefgh","b":"Basic auth""#, r#"{"a":"Bearer [redacted]","b":"Basic auth""#),
        (r#"{"m":"{\"a\":\"Bearer abcdefgh\"}"#, r#"{"m":"{\"a\":\"Bearer [redacted]\"}"#),
        (
            r#"{"start_time":"x","password":12345,"pin":-7}"#,
            r#"{"start_time":"x","password":[redacted],"pin":[redacted]}"#,
        ),
        (r#"{"password":12a}"#, r#"{"password":12a}"#),
        (r#""secret": {"a": 1}"#, r#""secret": {"a": 1}"#),
        ("token=a code=403 msg=\"x\"", "token=[redacted] code=403 msg=\"x\""),
        (line.as_str(), r#""GET /[redacted-jwt] HTTP/1.1""#),
    ] {
        assert_eq!(bytes(given), redacted, "{given}");
    }
    let garbage = b"\xff\xfe?token=\x80\x81&x=\xff";
    assert_eq!(*Redaction::default().bytes(garbage), *b"\xff\xfe?token=[redacted]&x=\xff");
}

#[test]
fn which_names() {
    let default = Redaction::default();
    assert_eq!(default.names().collect::<Vec<_>>(), DEFAULT_NAMES);
    for name in DEFAULT_NAMES {
        assert_eq!(text(&format!("/?{name}=a")), format!("/?{name}=[redacted]"));
    }
    // what columns are made of is never a secret by its name
    for key in Key::ALL {
        let line = format!(r#"{{"{}":"a"}}"#, key.name());
        assert_eq!(json(&line), line);
    }
    let own = Redaction::with_names(["Ticket", "page[cursor]", "", "7"]);
    assert_eq!(own.names().collect::<Vec<_>>(), ["Ticket", "page[cursor]", "", "7"]);
    assert_eq!(own.text("/?ticket=a&token=b&cursor=c&7=d&=e"), "/?ticket=[redacted]&token=b&cursor=[redacted]&7=d&=e");
    assert_eq!(own.json(r#"{"TICKET":"a"}"#), r#"{"TICKET":"[redacted]"}"#);
    assert_eq!(Redaction::with_names(Vec::<String>::new()).text(TOKEN), JWT);
    let long = "n".repeat(1000);
    assert_eq!(Redaction::with_names([&long]).text(&format!("?{long}=a&nn=b")), format!("?{long}=[redacted]&nn=b"));

    let none = Redaction::none();
    assert_eq!(none.names().count(), 0);
    let line = format!(r#"{{"token":"a","b":"?token={TOKEN}"}}"#);
    assert_eq!(none.text(&line), line);
    assert_eq!(none.words(&line), line);
    assert_eq!(none.json(&line), line);
    assert_eq!(*none.bytes(line.as_bytes()), *line.as_bytes());
}

/// Work grows with the length: these take debug builds a few seconds, and hours if it grew with the square of it.
#[test]
fn hostile_megabytes() {
    let redaction = Redaction::default();
    let start = Instant::now();
    let redact = |hostile: &str| {
        redaction.text(hostile);
        redaction.words(hostile);
        redaction.json(hostile);
        redaction.bytes(hostile.as_bytes());
    };
    for piece in ["eyJ.", "eyJ", "?token="] {
        redact(&piece.repeat((1 << 20) / piece.len()));
    }
    for piece in [
        "eyJ%",
        "eyJa.b",
        "token=;",
        "?token=;a",
        "%25",
        "%3Dtoken",
        "%2525=",
        "=",
        "a",
        ";",
        "&",
        "[",
        "%3F",
        "\\",
        "\"",
        "\\\"",
        "\":\"",
        "\"token\":",
        "\"token\":\"\\",
        "\" :\\",
        "{\"a\":",
        "authorization:",
        "authorization:   ",
        "password: ",
        "password: [redacted]",
        "password: {",
        "Cookie: ",
        "Cookie: a=b; ",
        "\"Bearer ",
    ] {
        let hostile = piece.repeat((1 << 17) / piece.len());
        redact(&hostile);
        redact(&format!("?token={hostile}"));
        redact(&format!("\"token\":\"{hostile}"));
        redact(&format!("/a?{hostile}=\""));
    }
    redact(&format!("{{\"token\":{}1}}", " ".repeat(1 << 20)));
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}
