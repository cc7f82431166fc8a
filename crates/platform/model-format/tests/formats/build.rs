//! Small whole files of each format.

/// Name, dtype, shape and offsets.
pub type Tensor<'a> = (&'a str, &'a str, &'a [u64], (u64, u64));

/// A file of these tensors and so many bytes of data.
pub fn safetensors(tensors: &[Tensor<'_>], data: usize) -> Vec<u8> {
    let entries: Vec<String> = tensors
        .iter()
        .map(|(name, dtype, shape, (from, to))| {
            format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{from},{to}]}}"#)
        })
        .collect();
    with_header(
        &format!(r#"{{"__metadata__":{{"format":"pt"}},{}}}"#, entries.join(",")),
        data,
    )
}

pub fn with_header(header: &str, data: usize) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.resize(file.len() + data, 7);
    file
}

pub fn net() -> Vec<u8> {
    safetensors(
        &[
            ("b", "F16", &[3], (24, 30)),
            ("a", "F32", &[2, 3], (0, 24)),
            ("e", "F32", &[0], (30, 30)),
        ],
        30,
    )
}

pub fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
    let mut out = varint(number << 3 | 2);
    out.extend(varint(bytes.len() as u64));
    out.extend(bytes);
    out
}

pub fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let byte = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        if value == 0 {
            out.push(byte);
            return out;
        }
        out.push(byte | 0x80);
    }
}

/// A tensor of two floats with this data in itself.
pub fn raw_tensor(bytes: usize) -> Vec<u8> {
    [
        number(1, 2),
        number(2, 1),
        field(8, b"w"),
        field(9, &vec![0; bytes]),
    ]
    .concat()
}

/// A tensor of two floats that lie elsewhere.
pub fn external_tensor(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut tensor = [number(1, 2), number(2, 1)].concat();
    for (key, value) in entries {
        tensor.extend(field(
            13,
            &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat(),
        ));
    }
    tensor.extend(number(14, 1));
    tensor
}

/// A model of one node whose attribute holds a tensor, and an initializer.
pub fn onnx_with(initializer: &[u8]) -> Vec<u8> {
    let attribute = [field(1, b"value"), field(5, &raw_tensor(8)), number(20, 4)].concat();
    let node = [field(2, b"y"), field(4, b"Constant"), field(5, &attribute)].concat();
    let graph = [field(1, &node), field(2, b"g"), field(5, initializer)].concat();
    [
        number(1, 8),
        field(2, b"test"),
        field(7, &graph),
        field(8, &number(2, 13)),
    ]
    .concat()
}

pub fn onnx() -> Vec<u8> {
    onnx_with(&raw_tensor(8))
}

pub fn text(text: &str) -> Vec<u8> {
    [
        (text.len() as u64).to_le_bytes().to_vec(),
        text.as_bytes().to_vec(),
    ]
    .concat()
}

/// A tensor of `F32` of these sides at this offset.
pub fn gguf_tensor(name: &str, sides: &[u64], offset: u64) -> Vec<u8> {
    let mut out = text(name);
    out.extend(u32::try_from(sides.len()).unwrap().to_le_bytes());
    sides.iter().for_each(|side| out.extend(side.to_le_bytes()));
    out.extend(0_u32.to_le_bytes());
    out.extend(offset.to_le_bytes());
    out
}

pub fn gguf_with(keys: &[Vec<u8>], tensors: &[Vec<u8>], data: usize) -> Vec<u8> {
    let mut file = b"GGUF".to_vec();
    file.extend(3_u32.to_le_bytes());
    file.extend((tensors.len() as u64).to_le_bytes());
    file.extend((keys.len() as u64).to_le_bytes());
    file.extend(keys.concat());
    file.extend(tensors.concat());
    file.resize(file.len().next_multiple_of(32) + data, 0);
    file
}

pub fn gguf_keys() -> Vec<Vec<u8>> {
    let mut list = text("tokens");
    list.extend(9_u32.to_le_bytes());
    list.extend(8_u32.to_le_bytes());
    list.extend(2_u64.to_le_bytes());
    list.extend([text("a"), text("bc")].concat());
    let architecture = [
        text("general.architecture"),
        8_u32.to_le_bytes().to_vec(),
        text("tiny"),
    ]
    .concat();
    vec![architecture, list]
}

pub fn gguf() -> Vec<u8> {
    let tensors = [gguf_tensor("a", &[2, 3], 0), gguf_tensor("b", &[4], 32)];
    gguf_with(&gguf_keys(), &tensors, 48)
}

/// A zip of stored, empty files of these names.
pub fn zip(names: &[&str]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for name in names {
        let at = u32::try_from(file.len()).unwrap();
        let length = u16::try_from(name.len()).unwrap().to_le_bytes();
        file.extend(b"PK\x03\x04");
        file.extend([0; 22]);
        file.extend(length);
        file.extend([0; 2]);
        file.extend(name.as_bytes());
        directory.extend(b"PK\x01\x02");
        directory.extend([0; 24]);
        directory.extend(length);
        directory.extend([0; 12]);
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let at = u32::try_from(file.len()).unwrap();
    let length = u32::try_from(directory.len()).unwrap();
    file.extend(directory);
    file.extend(b"PK\x05\x06");
    file.extend([0; 8]);
    file.extend(length.to_le_bytes());
    file.extend(at.to_le_bytes());
    file.extend([0; 2]);
    file
}
