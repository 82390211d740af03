//! SHA-1, which RFC 6455 wants for `Sec-WebSocket-Accept`: written here so that the tests share no code with the proxy.

/// The digest of `data` (FIPS 180-4, section 6.1).
pub(crate) fn sha1(data: &[u8]) -> [u8; 20] {
    let mut state = [0x6745_2301_u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    let mut padded = data.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend((data.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks(64) {
        let mut words = [0_u32; 80];
        for (word, bytes) in words.iter_mut().zip(block.chunks(4)) {
            *word = u32::from_be_bytes(bytes.try_into().unwrap());
        }
        for at in 16..80 {
            words[at] = (words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16]).rotate_left(1);
        }
        let [mut v, mut w, mut x, mut y, mut z] = state;
        for (at, word) in words.iter().enumerate() {
            let (mix, constant) = match at / 20 {
                0 => ((w & x) | (!w & y), 0x5a82_7999),
                1 => (w ^ x ^ y, 0x6ed9_eba1),
                2 => ((w & x) | (w & y) | (x & y), 0x8f1b_bcdc),
                _ => (w ^ x ^ y, 0xca62_c1d6_u32),
            };
            let next =
                v.rotate_left(5).wrapping_add(mix).wrapping_add(z).wrapping_add(constant).wrapping_add(*word);
            (z, y, x, w, v) = (y, x, w.rotate_left(30), v, next);
        }
        for (slot, value) in state.iter_mut().zip([v, w, x, y, z]) {
            *slot = slot.wrapping_add(value);
        }
    }
    let mut digest = [0; 20];
    for (bytes, word) in digest.chunks_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    digest
}

#[test]
fn the_digest_is_the_standards_own() {
    let hex = |digest: [u8; 20]| digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(sha1(b"abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_eq!(hex(sha1(&[b'a'; 119])), "ee971065aaa017e0632a8ca6c77bb3bf8b1dfc56");
}
