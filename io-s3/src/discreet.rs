//! What a store's client says, without the secrets that addresses carry.

use std::fmt::Display;

/// The message with every address in it cut down to scheme, host and path: logins and presigned queries are secrets.
///
/// A word is an address where it has `://` in it, and addresses end at a blank, as in the messages of `object_store`.
pub(crate) fn discreet(message: &impl Display) -> String {
    let message = message.to_string();
    let words: Vec<String> = message.split(' ').map(word).collect();
    words.join(" ")
}

fn word(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else { return word.to_owned() };
    let (rest, query) = match rest.split_once('?') {
        Some((rest, _)) => (rest, "?(hidden)"),
        None => (rest, ""),
    };
    // A password may hold a slash or an @ that nobody encoded; everything before the last @ belongs to it.
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}://{rest}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lose_login_and_query_and_nothing_else_changes() {
        for (said, shown) in [
            ("no address, 2 @ 3?", "no address, 2 @ 3?"),
            ("GET http://u:p@h:1/a?X-Sig=s in 3ms", "GET http://h:1/a?(hidden) in 3ms"),
            ("(http://u:p/@q@h/a) - https://h/b", "(http://h/a) - https://h/b"),
            ("two http://u@h http://v@i", "two http://h http://i"),
        ] {
            assert_eq!(discreet(&said), shown);
        }
        let once = discreet(&"GET http://u:p@h:1/a?X-Sig=s");
        assert_eq!(discreet(&once), once);
    }
}
