//! What a store's client says, as a cause and what to do about it.

use std::error::Error as _;

use daysum_core::Error;
use object_store::Error as Cause;

use crate::discreet::discreet;

/// An error of a port, `operation` and key in front. Whether another run could succeed where this one did not: a
/// server that is away comes back, and credentials are renewed; an object that is forbidden stays so.
pub(crate) fn refuse(port: &'static str, operation: String, error: &Cause) -> Error {
    let mut said = chain(error);
    if matches!(error, Cause::InvalidPath { .. }) {
        said += "; rename or remove that object, whose key the client cannot name";
    }
    let (reason, of_the_run) = match s3_code(&said) {
        Some("SignatureDoesNotMatch") => {
            ("the secret key is not that of the access key (SignatureDoesNotMatch); check both", true)
        }
        Some("InvalidAccessKeyId") => {
            ("the server does not know the access key (InvalidAccessKeyId); check key and endpoint", true)
        }
        Some("ExpiredToken" | "TokenRefreshRequired" | "InvalidToken") => {
            ("the session token has expired (ExpiredToken); get new credentials", true)
        }
        Some("RequestTimeTooSkewed") => {
            ("the clocks of this machine and of the server differ (RequestTimeTooSkewed); set them", true)
        }
        Some("NoSuchBucket") => ("there is no such bucket (NoSuchBucket); check the address", true),
        _ if matches!(error, Cause::Unauthenticated { .. }) => {
            ("the credentials are refused (401); check S3_ACCESS_KEY and S3_SECRET_KEY", true)
        }
        // Of listings the client tells the refusal in words only.
        _ if matches!(error, Cause::PermissionDenied { .. }) || said.contains("403 Forbidden") => {
            ("permission denied (403); give the access key the right to it", false)
        }
        _ => (&*said, matches!(error, Cause::Generic { .. } | Cause::JoinError { .. })),
    };
    Error::port(port, operation, of_the_run, reason.to_owned())
}

/// The message and what lies behind it: of a connection that failed the first says only that it did.
fn chain(error: &Cause) -> String {
    let mut said = error.to_string();
    let mut behind = error.source();
    while let Some(error) = behind {
        let text = error.to_string();
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
        behind = error.source();
    }
    // It quotes keys, and answers of servers: neither may move a cursor or begin a line of a log.
    discreet(&said).replace(char::is_control, " ")
}

/// The code in the answer of a server that speaks S3.
fn s3_code(said: &str) -> Option<&str> {
    let (_, code) = said.split_once("<Code>")?;
    Some(code.split_once("</Code>")?.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::path::Path;

    #[test]
    fn a_refusal_says_its_cause_and_ends_the_run_where_all_others_would_follow() {
        let generic = |said: &str| Cause::Generic { store: "S3", source: said.to_owned().into() };
        let denied =
            |said: &str| Cause::PermissionDenied { path: "k".into(), source: said.to_owned().into() };
        for (error, shown, of_the_run) in [
            (denied("403: <Error><Code>SignatureDoesNotMatch</Code></Error>"), "check both", true),
            (denied("403: <Code>RequestTimeTooSkewed</Code>"), "clocks", true),
            (denied("403: <Code>InvalidAccessKeyId</Code>"), "does not know the access key", true),
            (denied("400: <Code>ExpiredToken</Code>"), "get new credentials", true),
            (denied("400: <Code>InvalidToken</Code>"), "get new credentials", true),
            (
                Cause::Unauthenticated { path: "k".into(), source: "401".into() },
                "credentials are refused",
                true,
            ),
            (denied("403: <Code>AccessDenied</Code>"), "permission denied (403)", false),
            (generic("status code: 403 Forbidden"), "permission denied (403)", false),
            (generic("404: <Code>NoSuchBucket</Code>"), "no such bucket", true),
            (generic("http://u:p@h/ is away"), "http://h/ is away", true),
            (Path::parse("a//b").expect_err("an empty part").into(), "rename or remove that object", false),
        ] {
            let refused = refuse("source", "read k".to_owned(), &error);
            assert!(refused.to_string().contains(shown), "{refused}");
            assert_eq!(refused.is_retryable(), of_the_run, "{refused}");
        }
    }
}
