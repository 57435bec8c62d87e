//! The forms of values: addresses and sizes.

/// Splits `host:port`, `host`, `[v6]:port`, `[v6]` or a bare IPv6 address.
pub fn host_port(text: &str, default_port: u16) -> Result<(String, u16), &'static str> {
    const SHAPE: &str = "write it as HOST:PORT";
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(SHAPE)?;
        match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if rest.is_empty() => (host, None),
            None => return Err(SHAPE),
        }
    } else if text.bytes().filter(|b| *b == b':').count() > 1 {
        (text, None)
    } else {
        text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
    };
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_.:%".contains(&b) || !b.is_ascii();
    if host.is_empty() || !host.bytes().all(fits) {
        return Err(SHAPE);
    }
    if port.is_none() && host.bytes().all(|b| b.is_ascii_digit()) {
        return Err("this is only a port; write it as HOST:PORT");
    }
    let port = match port {
        Some(p) => p.parse().map_err(|_| "a port is a number from 0 to 65535")?,
        None => default_port,
    };
    Ok((host.to_owned(), port))
}

/// Reads a size in bytes: `1048576`, `64KiB`, `512MiB`, `4G`, `1.5 GiB`. `K`, `KB` and `KiB` are all
/// 1024, as in Kafka's and the kernel's tools.
pub fn size(text: &str) -> Result<u64, String> {
    const SHAPE: &str = "write a size as 512MiB or 4G";
    let text = text.trim();
    let digits = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let (digits, unit) = text.split_at(digits);
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(SHAPE.to_owned()),
    };
    let factor = 1u64 << shift;
    let bytes = if digits.contains('.') {
        let value: f64 = digits.parse().map_err(|_| SHAPE)?;
        let bytes = value * factor as f64;
        if bytes >= u64::MAX as f64 {
            return Err("this is too large".to_owned());
        }
        bytes as u64
    } else {
        let value: u64 = digits.parse().map_err(|_| SHAPE)?;
        value.checked_mul(factor).ok_or("this is too large")?
    };
    Ok(bytes)
}

/// A size in the largest unit that leaves at least 1, such as `1.5 GiB`; readable by [`size`].
pub fn show_size(bytes: u64) -> String {
    for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes >> shift > 0 {
            let tenths = bytes * 10 / (1 << shift);
            return match tenths % 10 {
                0 => format!("{} {unit}", tenths / 10),
                rest => format!("{}.{rest} {unit}", tenths / 10),
            };
        }
    }
    format!("{bytes} B")
}
