// Times, durations, amounts: as a person says them.

let behind = 0; // milliseconds that the server's clock is ahead of this one

export function setServerTime(iso) {
  if (iso) behind = Date.parse(iso) - Date.now();
}

export function now() {
  return Date.now() + behind;
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "";
  const whole = Math.max(0, Math.round(seconds));
  const days = Math.floor(whole / 86400), hours = Math.floor((whole % 86400) / 3600), minutes = Math.floor((whole % 3600) / 60);
  if (days) return `${days}d ${hours}h`;
  if (hours) return `${hours}h ${minutes}m`;
  if (minutes) return `${minutes}m ${whole % 60}s`;
  return `${whole}s`;
}

export function date(iso) {
  if (!iso) return "";
  return new Date(iso).toLocaleString("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone: "UTC" }).replace(",", "");
}

export function clock(iso, withSeconds = true) {
  return iso ? new Date(iso).toISOString().slice(11, withSeconds ? 19 : 16) : "";
}

export function percent(value) {
  return value === null || value === undefined ? "not known" : `${value.toFixed(1)}%`;
}

export function money(amount, currency) {
  if (amount === null || amount === undefined || !currency) return "";
  const digits = amount !== 0 && Math.abs(amount) < 0.01 ? { maximumSignificantDigits: 2 } : { minimumFractionDigits: 2, maximumFractionDigits: 2 };
  try {
    return new Intl.NumberFormat("en-US", { style: "currency", currency, ...digits }).format(amount);
  } catch {
    return `${amount} ${currency}`; // a currency that nobody knows
  }
}

export function count(number, noun) {
  return `${number.toLocaleString("en-US")} ${noun}${number === 1 ? "" : "s"}`;
}

export function taskName(row) {
  return row.map_index >= 0 ? `${row.task_id}[${row.map_index}]` : row.task_id;
}
