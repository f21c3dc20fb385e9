//! Pixels as a PNG file (https://www.w3.org/TR/png-3/).

use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::io::Write;

const SIGNATURE: [u8; 8] = [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n'];
/// Eight bits for each of red, green and blue; the usual compression and filters, not interlaced.
const SHAPE: [u8; 5] = [8, 2, 0, 0, 0];
const PIXEL: usize = 3;
/// A line is written as its differences to the line above, which pack well in soft pictures.
const UP: u8 = 2;

/// `pixels` are lines of red, green and blue.
pub fn encode(width: u32, height: u32, pixels: &[u8]) -> Vec<u8> {
    let length = width as usize * PIXEL;
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
    let mut above = vec![0; length];
    for line in pixels.chunks_exact(length) {
        let mut filtered = vec![UP];
        let pairs = line.iter().zip(&above);
        filtered.extend(pairs.map(|(here, above)| here.wrapping_sub(*above)));
        packed
            .write_all(&filtered)
            .expect("memory takes everything");
        above.copy_from_slice(line);
    }
    let packed = packed.finish().expect("memory takes everything");

    let mut file = SIGNATURE.to_vec();
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    chunk(&mut file, b"IHDR", &[&size[..], &SHAPE].concat());
    chunk(&mut file, b"IDAT", &packed);
    chunk(&mut file, b"IEND", &[]);
    file
}

fn chunk(file: &mut Vec<u8>, name: &[u8; 4], content: &[u8]) {
    let length = u32::try_from(content.len()).expect("far less than 4 GiB");
    file.extend(length.to_be_bytes());
    let checked = [&name[..], content].concat();
    file.extend(&checked);
    file.extend(crc32fast::hash(&checked).to_be_bytes());
}
