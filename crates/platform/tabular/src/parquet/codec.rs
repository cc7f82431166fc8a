//! Decompression of pages that ends at the size the page claims.
//!
//! The `parquet` crate's own codecs read Gzip, Brotli and framed LZ4 to their end and compare sizes after
//! that, so a page of 100 KB may fill the memory. Here nothing is made beyond the claimed size, which the
//! caller has held against the limit.

use std::io::Read;

use parquet::basic::Compression;

use crate::{Format, TabularError};

/// Appends exactly `size` bytes to `out`, decompressed from `bytes`.
pub(super) fn decompress(
    codec: Compression,
    bytes: &[u8],
    size: usize,
    out: &mut Vec<u8>,
) -> Result<(), TabularError> {
    let start = out.len();
    out.resize(start + size, 0);
    let target = &mut out[start..];
    let made = match codec {
        Compression::UNCOMPRESSED => {
            let fits = bytes.len() == size;
            if fits {
                target.copy_from_slice(bytes);
            }
            fits
        }
        Compression::SNAPPY => snap::raw::Decoder::new().decompress(bytes, target) == Ok(size),
        Compression::GZIP(_) => fill(flate2::read::MultiGzDecoder::new(bytes), target),
        Compression::BROTLI(_) => fill(brotli_decompressor::Decompressor::new(bytes, 4096), target),
        Compression::ZSTD(_) => zstd(bytes, target),
        Compression::LZ4_RAW => {
            lz4_flex::block::decompress_into(bytes, target).is_ok_and(|made| made == size)
        }
        // The old name was used for Hadoop's frames and, by others, for bare blocks.
        Compression::LZ4 => {
            hadoop(bytes, target)
                || lz4_flex::block::decompress_into(bytes, target).is_ok_and(|made| made == size)
        }
        Compression::LZO => {
            return Err(TabularError::unsupported(
                Format::Parquet,
                "its pages are compressed with LZO",
            ));
        }
    };
    if made {
        Ok(())
    } else {
        Err(TabularError::parquet(format!(
            "a page does not decompress to the {size} bytes that it claims"
        )))
    }
}

/// Whether a reader has exactly as many bytes as there is room.
fn fill(mut reader: impl Read, target: &mut [u8]) -> bool {
    reader.read_exact(target).is_ok() && matches!(reader.read(&mut [0]), Ok(0))
}

fn zstd(bytes: &[u8], target: &mut [u8]) -> bool {
    let size = target.len();
    zstd::bulk::decompress_to_buffer(bytes, target).is_ok_and(|made| made == size)
}

/// Hadoop's frames: the size of the data, the size of the block, both big-endian, and the block.
fn hadoop(mut bytes: &[u8], mut target: &mut [u8]) -> bool {
    while !bytes.is_empty() {
        let Some(([a, b, c, d, e, f, g, h], rest)) = bytes.split_first_chunk() else {
            return false;
        };
        let size = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let block = u32::from_be_bytes([*e, *f, *g, *h]) as usize;
        if size > target.len() || block > rest.len() {
            return false;
        }
        let (now, later) = target.split_at_mut(size);
        if lz4_flex::block::decompress_into(&rest[..block], now).ok() != Some(size) {
            return false;
        }
        target = later;
        bytes = &rest[block..];
    }
    target.is_empty()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use parquet::basic::{BrotliLevel, GzipLevel, ZstdLevel};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn framed(bytes: &[u8]) -> Vec<u8> {
        let mut frames = Vec::new();
        for part in bytes.chunks(1000) {
            let block = lz4_flex::block::compress(part);
            frames.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
            frames.extend(u32::try_from(block.len()).unwrap().to_be_bytes());
            frames.extend(block);
        }
        frames
    }

    /// A text as every codec writes it. There is no encoder of Brotli here; a file of pyarrow's covers it.
    fn all(text: &[u8]) -> Vec<(Compression, Vec<u8>)> {
        vec![
            (Compression::UNCOMPRESSED, text.to_vec()),
            (
                Compression::SNAPPY,
                snap::raw::Encoder::new().compress_vec(text).unwrap(),
            ),
            (Compression::GZIP(GzipLevel::default()), gzip(text)),
            (
                Compression::ZSTD(ZstdLevel::default()),
                zstd::bulk::compress(text, 1).unwrap(),
            ),
            (Compression::LZ4_RAW, lz4_flex::block::compress(text)),
            (Compression::LZ4, framed(text)),
            (Compression::LZ4, lz4_flex::block::compress(text)),
        ]
    }

    #[test]
    fn each_codec_gives_back_what_went_in_behind_what_is_there() {
        let text = b"tabular ".repeat(300);
        for (codec, bytes) in all(&text) {
            let mut out = b"head".to_vec();
            decompress(codec, &bytes, text.len(), &mut out).unwrap();
            assert_eq!(out, [b"head".as_slice(), &text].concat(), "{codec:?}");
        }
    }

    #[test]
    fn a_page_that_lies_about_its_size_is_refused_by_every_codec() {
        let text = b"tabular ".repeat(300);
        for (codec, bytes) in all(&text) {
            for size in [0, 10, text.len() - 1, text.len() + 1] {
                assert!(
                    decompress(codec, &bytes, size, &mut Vec::new()).is_err(),
                    "{codec:?} {size}"
                );
            }
            for cut in 0..bytes.len() {
                // A cut may leave a valid shorter text, never one of the full length.
                assert!(decompress(codec, &bytes[..cut], text.len(), &mut Vec::new()).is_err());
            }
        }
        let brotli = Compression::BROTLI(BrotliLevel::default());
        assert!(decompress(brotli, b"not brotli", 10, &mut Vec::new()).is_err());
    }

    #[test]
    fn a_bomb_makes_no_more_than_it_claims() {
        let bomb = gzip(&vec![0; 1 << 20]);
        assert!(bomb.len() < 20_000);
        let mut out = Vec::new();
        assert!(decompress(Compression::GZIP(GzipLevel::default()), &bomb, 1000, &mut out).is_err());
        assert!(out.capacity() < 4096);
    }
}
