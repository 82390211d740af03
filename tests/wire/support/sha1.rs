//! SHA-1, which RFC 6455 wants for `Sec-WebSocket-Accept`: written here so that the tests share no code with the proxy.

/// Returns the digest of `data` (FIPS 180-4, section 6.1).
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
        let mut turn = state;
        for (at, word) in words.iter().enumerate() {
            let [first, b, c, d, last] = turn;
            let (mix, constant) = match at / 20 {
                0 => ((b & c) | (!b & d), 0x5a82_7999),
                1 => (b ^ c ^ d, 0x6ed9_eba1),
                2 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6_u32),
            };
            let next = first.rotate_left(5).wrapping_add(mix).wrapping_add(last);
            turn = [next.wrapping_add(constant).wrapping_add(*word), first, b.rotate_left(30), c, d];
        }
        for (slot, value) in state.iter_mut().zip(turn) {
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
    let words = |digest: [u8; 20]| {
        let words = digest.as_chunks().0.iter();
        words.map(|word| u32::from_be_bytes(*word)).collect::<Vec<_>>()
    };
    assert_eq!(words(sha1(b"abc")), [0xa999_3e36, 0x4706_816a, 0xba3e_2571, 0x7850_c26c, 0x9cd0_d89d]);
    let long = [0xee97_1065, 0xaaa0_17e0, 0x632a_8ca6, 0xc77b_b3bf, 0x8b1d_fc56];
    assert_eq!(words(sha1(&[b'a'; 119])), long);
}
