use std::io::Write;

use super::*;
use zip::write::{SimpleFileOptions, ZipWriter};

fn open(bytes: Vec<u8>) -> Result<(Archive, Vec<Complaint>), Complaint> {
    Archive::open(Bytes::Memory(Arc::from(bytes)))
}

fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A stored entry and its directory record, written by hand: what a writer refuses to write.
fn by_hand(entries: &[(&[u8], &[u8], u16, u32)]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, data, flags, mode) in entries {
        let offset = u32::try_from(out.len()).unwrap();
        let crc = crc(data);
        let size = u32::try_from(data.len()).unwrap();
        let mut common = Vec::new();
        for short in [20u16, *flags, 0, 0, 0x21] {
            common.extend(short.to_le_bytes());
        }
        for word in [crc, size, size] {
            common.extend(word.to_le_bytes());
        }
        common.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        common.extend(0u16.to_le_bytes());
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(*name);
        out.extend(*data);
        // Made by Unix, so that the attributes hold a mode.
        directory.extend(b"PK\x01\x02\x14\x03");
        directory.extend(&common);
        directory.extend([0; 6]);
        directory.extend((mode << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(*name);
    }
    let start = u32::try_from(out.len()).unwrap();
    let count = u16::try_from(entries.len()).unwrap();
    let size = u32::try_from(directory.len()).unwrap();
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(size.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend(0u16.to_le_bytes());
    out
}

fn crc(data: &[u8]) -> u32 {
    let mut crc = !0u32;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

const FILE: u32 = 0o100_644;

fn reasons(bytes: Vec<u8>) -> Vec<(&'static str, String)> {
    match open(bytes) {
        Ok((_, complaints)) => complaints.into_iter().map(|(code, reason)| (code.id, reason)).collect(),
        Err((code, reason)) => vec![(code.id, reason)],
    }
}

#[test]
fn files_are_listed_and_read() {
    let big = b"x = 1\n".repeat(20_000);
    let bytes = packed(&[("app.py", b"import os\n"), ("lib/big.py", &big), ("inner.zip", b"PK")]);
    let (archive, complaints) = open(bytes).unwrap();
    assert!(complaints.is_empty(), "{complaints:?}");
    assert_eq!(archive.files().collect::<Vec<_>>(), [("app.py", 10), ("inner.zip", 2), ("lib/big.py", 120_000)]);
    assert_eq!(archive.read("app.py", 100).unwrap(), b"import os\n");
    assert_eq!(archive.read("lib/big.py", 200_000).unwrap(), big);
    assert!(archive.read("lib/big.py", 100).is_err(), "no more than the limit is unpacked");
    assert!(archive.read("absent", 100).is_err());
    let (archive, complaints) = open(by_hand(&[(b"a.py", b"x", 0, FILE)])).unwrap();
    assert!(complaints.is_empty() && archive.read("a.py", 10).unwrap() == b"x");
}

#[test]
fn names_that_leave_the_archive_are_left_out() {
    for name in ["../a.py", "a/../../b.py", "/etc/a.py", "\\\\host\\a.py", "C:/a.py", "c:\\a.py", "a\0.py", "..\\a.py"]
    {
        let bytes = by_hand(&[(name.as_bytes(), b"x", 0, FILE), (b"ok.py", b"y", 0, FILE)]);
        let (archive, complaints) = open(bytes).unwrap();
        assert_eq!(archive.files().collect::<Vec<_>>(), [("ok.py", 1)], "{name}");
        assert_eq!(complaints[0].0.id, "archive-unsafe", "{name}: {complaints:?}");
        assert!(!complaints[0].1.contains('\0'));
    }
    assert_eq!(inside("a\\b.py").as_deref(), Some("a/b.py"));
}

#[test]
fn links_encrypted_and_repeated_entries_are_named() {
    let said = reasons(by_hand(&[(b"l", b"/etc/passwd", 0, 0o120_777)]));
    assert!(said[0].0 == "archive-unsafe" && said[0].1.contains("is a link"), "{said:?}");
    let said = reasons(by_hand(&[(b"e.py", b"x", 1, FILE)]));
    assert!(said[0].1.contains("is encrypted"), "{said:?}");
    let said = reasons(by_hand(&[(b"a.py", b"x", 0, FILE), (b"a.py", b"y", 0, FILE)]));
    assert!(said[0].1.contains("same name"), "{said:?}");
    let said = reasons(by_hand(&[(b"a.py", b"x", 0, FILE), (b"./a.py", b"y", 0, FILE)]));
    assert!(said[0].1.contains("twice"), "{said:?}");
    let many: Vec<(Vec<u8>, &[u8])> = (0..500).map(|n| (format!("../{n}").into_bytes(), b"x".as_slice())).collect();
    let many: Vec<(&[u8], &[u8], u16, u32)> = many.iter().map(|(n, d)| (n.as_slice(), *d, 0, FILE)).collect();
    assert!(reasons(by_hand(&many)).len() <= MAX_NAMED + 1);
}

#[test]
fn what_expands_is_not_unpacked() {
    let said = reasons(packed(&[("zeros.py", &vec![0; 3_000_000])]));
    assert_eq!(said[0].0, "archive-expands", "{said:?}");
    // The end record alone may claim anything.
    let mut bytes = by_hand(&[(b"a.py", b"x", 0, FILE)]);
    let end = bytes.len() - 22;
    bytes[end + 12..end + 16].copy_from_slice(&0x7FFF_FFFFu32.to_le_bytes());
    assert_eq!(reasons(bytes)[0].0, "archive-expands");
    // A size that is too small is found out when the file is read.
    let mut bytes = packed(&[("a.py", &b"x = 1\n".repeat(1_000))]);
    let at = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    bytes[at + 24..at + 28].copy_from_slice(&5u32.to_le_bytes());
    let (archive, _) = open(bytes).unwrap();
    assert!(archive.read("a.py", 1_000_000).is_err());
}

#[test]
fn broken_archives_are_named_or_fail_when_read() {
    for bytes in [
        b"".to_vec(),
        b"PK\x03\x04".to_vec(),
        b"version https://git-lfs.example/spec/v1\n".repeat(40),
        b"PK\x05\x06".to_vec(),
    ] {
        assert_eq!(reasons(bytes)[0].0, "archive-invalid");
    }
    let good = packed(&[("a.py", &b"some = 'text'\n".repeat(9))]);
    let mut wrong = good.clone();
    let at = wrong.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    wrong[at + 16] ^= 0xFF;
    let (archive, _) = open(wrong).unwrap();
    assert!(archive.read("a.py", 1_000).unwrap_err().starts_with("broken"), "a wrong checksum");
    // No cut and no flipped byte makes it panic.
    for cut in 0..good.len() {
        let _ = open(good[..cut].to_vec());
        let mut flipped = good.clone();
        flipped[cut] ^= 0x55;
        if let Ok((archive, _)) = open(flipped) {
            let names: Vec<String> = archive.files().map(|(name, _)| name.to_string()).collect();
            for name in names {
                let _ = archive.read(&name, 10_000);
            }
        }
    }
}
