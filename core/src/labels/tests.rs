use super::*;

fn filter(keys: &[&str]) -> LabelFilter {
    LabelFilter::new(keys.iter().copied(), OnMalformed::Refuse)
}

#[test]
fn the_virtual_machine_key_is_always_enabled() {
    let labels = filter(&[]).canonical(r#"{"app":"x","vm_kubevirt_io_name":"v"}"#);
    assert_eq!(labels.as_deref(), Ok(r#"{"vm_kubevirt_io_name": "v"}"#));
}

#[test]
fn keys_match_exactly() {
    assert_eq!(filter(&["app"]).canonical(r#"{"App":"x"}"#).as_deref(), Ok("{}"));
}

#[test]
fn equal_sets_have_equal_spellings() {
    let filter = filter(&["app", "b"]);
    for text in [
        r#"{"app":"é","b":"1","other":"z"}"#,
        r#" { "b" : "1" , "app" : "\u00e9" } "#,
        "{\n\"b\":\"0\",\t\"app\":\"é\",\"b\":\"1\"}",
        "label_b:1|label_app:é|junk",
    ] {
        assert_eq!(filter.canonical(text).as_deref(), Ok(r#"{"b": "1", "app": "é"}"#), "{text}");
    }
}

#[test]
fn blank_is_empty_and_other_nonsense_is_refused() {
    let filter = filter(&["a"]);
    for blank in ["", "   ", "{}", "{ }"] {
        assert_eq!(filter.canonical(blank).as_deref(), Ok("{}"), "{blank:?}");
    }
    for malformed in [
        "{",
        "[1]",
        "\"a\"",
        "5",
        "null",
        "\t",
        "\n",
        "nonsense",
        "{\"a\":1}}",
        "{\"a\" 1}",
        "{'a':1}",
        r#"{"a":"\u0000"}"#,
        r#"{"a":"\ud800"}"#,
        "{\"a\":\"\n\"}",
    ] {
        assert!(filter.canonical(malformed).is_err(), "{malformed:?}");
    }
    let lenient = LabelFilter::new(["a"], OnMalformed::Empty);
    assert_eq!(lenient.canonical("[1]").as_deref(), Ok("{}"));
}

#[test]
fn values_of_other_types_become_text_in_jsonb_spelling() {
    let filter = filter(&["n", "b", "z", "o", "a", "e"]);
    let text = r#"{"n":1.50,"b":true,"z":null,"o":{"bb":1e2,"a":"x","a":"y"},"a":[1,"2",null],"e":1e2}"#;
    assert_eq!(
        filter.canonical(text).as_deref(),
        Ok(
            r#"{"a": "[1, \"2\", null]", "b": "true", "e": "100", "n": "1.50", "o": "{\"a\": \"y\", \"bb\": 100}", "z": null}"#
        )
    );
}

#[test]
fn pipe_strings_are_read_as_koku_reads_them() {
    let filter = filter(&["a", "b", "my_x", ""]);
    assert_eq!(filter.canonical("label_a:1|label_b:x:y|junk|label_a:2").as_deref(), Ok(r#"{"a": "2"}"#));
    assert_eq!(filter.canonical("label_my_label_x:1|label_:y").as_deref(), Ok(r#"{"": "y", "my_x": "1"}"#));
    assert_eq!(filter.canonical("label_b: x |label_a:y ").as_deref(), Ok(r#"{"a": "y ", "b": " x "}"#));
}

#[test]
fn merging_lets_the_last_set_win_and_null_is_a_value() {
    let filter = filter(&["app", "team", "zone"]);
    let merged = filter.merge([
        r#"{"app": "node", "zone": "a"}"#,
        r#"{"app": "ns", "team": "t"}"#,
        r#"{"app": null}"#,
    ]);
    assert_eq!(merged, r#"{"app": null, "team": "t", "zone": "a"}"#);
    assert_eq!(filter.merge([]), "{}");
}

#[test]
fn merged_keys_are_in_the_order_of_what_they_are_and_not_of_how_they_are_spelled() {
    let filter = filter(&["abc", r#"z""#, "zz"]);
    let merged = filter.merge([r#"{"z\"": "1", "abc": "2"}"#, r#"{"zz": "3", "abc": "4"}"#]);
    assert_eq!(merged, r#"{"z\"": "1", "zz": "3", "abc": "4"}"#);
    assert_eq!(filter.canonical(&merged), Ok(merged));
}

#[test]
fn canonical_spellings_are_fixed_points() {
    let filter = filter(&["k", "quote\"key"]);
    let spelled =
        filter.canonical(r#"{"k":"a\"\\\/\b\f\n\r\t\u0001\ud83d\ude00","quote\"key":""}"#).expect("valid");
    assert_eq!(filter.canonical(&spelled).as_deref(), Ok(spelled.as_str()));
    assert_eq!(spelled, "{\"k\": \"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0001😀\", \"quote\\\"key\": \"\"}");
}

#[test]
fn deep_nesting_is_an_error_and_no_overflow() {
    let deep = format!(r#"{{"k":{}1{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
    assert!(filter(&["k"]).canonical(&deep).is_err());
}

/// Found by the fuzz target `labels`: JSON with a NUL was refused and a pipe string with one was not, so that merging
/// its canonical spelling panicked.
#[test]
fn nul_is_refused_in_pipe_strings_as_it_is_in_json() {
    let filter = filter(&["app", "team"]);
    assert!(filter.canonical("label_app:x|label_team:t\0").is_err());
    assert!(filter.canonical("label_app:x|label_other\0:t").is_err());
}
