//! As much of Thrift's compact protocol as a Parquet footer needs: structs that are written field by field.

const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// A struct in the making. Fields come in rising order.
#[derive(Debug, Default)]
pub(super) struct Struct {
    bytes: Vec<u8>,
    last: i16,
}

impl Struct {
    pub(super) fn i32(self, field: i16, value: i32) -> Self {
        self.number(field, I32, i64::from(value))
    }

    pub(super) fn i64(self, field: i16, value: i64) -> Self {
        self.number(field, I64, value)
    }

    pub(super) fn text(mut self, field: i16, text: &str) -> Self {
        self.begin(field, BINARY);
        binary(text, &mut self.bytes);
        self
    }

    pub(super) fn inner(mut self, field: i16, inner: Struct) -> Self {
        self.begin(field, STRUCT);
        self.bytes.extend(inner.finish());
        self
    }

    pub(super) fn structs(mut self, field: i16, items: Vec<Struct>) -> Self {
        self.list(field, STRUCT, items.len());
        items.into_iter().for_each(|item| self.bytes.extend(item.finish()));
        self
    }

    pub(super) fn texts(mut self, field: i16, items: &[&str]) -> Self {
        self.list(field, BINARY, items.len());
        items.iter().for_each(|item| binary(item, &mut self.bytes));
        self
    }

    pub(super) fn i32s(mut self, field: i16, items: &[i32]) -> Self {
        self.list(field, I32, items.len());
        items.iter().for_each(|item| varint(zigzag(i64::from(*item)), &mut self.bytes));
        self
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }

    fn number(mut self, field: i16, kind: u8, value: i64) -> Self {
        self.begin(field, kind);
        varint(zigzag(value), &mut self.bytes);
        self
    }

    fn list(&mut self, field: i16, kind: u8, length: usize) {
        self.begin(field, LIST);
        if length < 15 {
            self.bytes.push((length as u8) << 4 | kind);
        } else {
            self.bytes.push(0xf0 | kind);
            varint(length as u64, &mut self.bytes);
        }
    }

    /// The distance to the field before, which is below 16 in every struct of the format.
    fn begin(&mut self, field: i16, kind: u8) {
        self.bytes.push(((field - self.last) as u8) << 4 | kind);
        self.last = field;
    }
}

fn binary(text: &str, out: &mut Vec<u8>) {
    varint(text.len() as u64, out);
    out.extend(text.as_bytes());
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

pub(super) fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
