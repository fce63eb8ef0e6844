//! Bytes that claim to be a partial state.

use daysum_core::PartialState;
use sha2::{Digest, Sha256};

/// Reads a state, whose checksum is put behind it first: no fuzzer guesses one, and what lies behind the check is meant.
/// What is accepted is written the same ever after, and refuses to be added to itself unless it is empty. Returns whether
/// it is accepted.
pub fn wire(data: &[u8]) -> bool {
    let checked = [data, &Sha256::digest(data)].concat();
    let Ok(state) = PartialState::decode(checked.into()) else { return false };
    let encoded = state.encode().expect("what was read can be written");
    let again = PartialState::decode(encoded.clone()).and_then(|state| state.encode());
    assert_eq!(again.as_ref().ok(), Some(&encoded), "equal states have equal bytes");
    let empty = state.coverage().iter().count() == 0;
    let mut twice = state.clone();
    assert_eq!(twice.merge(state).is_ok(), empty, "no chunk is counted twice");
    true
}
