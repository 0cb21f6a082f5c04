#!/usr/bin/env bash
# Opens a report in headless Chromium as a computer and as a phone, light and dark, and checks it.
set -euo pipefail

usage() {
    cat <<'END'
Usage: scripts/check_report.sh FILE.html [OUT_DIR]

Opens a report of experiments/report.py in headless Chromium at the size of a desktop (1280x900)
and of a phone (390x844), each light and dark, and checks that
  - nothing is written to the console and nothing is loaded from outside the file,
  - all pictures and videos load,
  - the page is no wider than the screen,
  - text is large enough and has enough contrast.
Saves a screenshot of each, of the whole page up to 16000 pixels, in OUT_DIR (default: beside FILE,
in report_check/).

Exit code: 0 all is well, 1 a check failed, 2 wrong arguments or no Chromium. CHROMIUM names the
browser to use.
END
}

fail() {
    echo "check_report: $1" >&2
    exit 2
}

case "${1-}" in
    -h | --help)
        usage
        exit 0
        ;;
    '') fail 'FILE.html, the report, is missing; see scripts/check_report.sh -h' ;;
esac
file=$1
[[ -f "$file" ]] || fail "$file: no such file; make it with experiments/report.py"
out=${2:-"$(dirname -- "$file")/report_check"}

chromium=''
for name in ${CHROMIUM:+"$CHROMIUM"} chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then
        chromium=$(command -v "$name")
        break
    fi
done
[[ -n "$chromium" ]] || fail 'no Chromium here; install it (Debian: apt-get install chromium)'
mkdir -p -- "$out" || fail "$out: cannot be made; choose another OUT_DIR"

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

# A copy that checks itself and reports to the page around it.
cat >"$work/look.html" <<'END'
<script>
function luminance(color) {
  const parts = color.map(value => value / 255).map(
      value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
}
function parse(text) {
  return (text.match(/[\d.]+/g) || []).map(Number);
}
function behind(element) {
  for (let at = element; at; at = at.parentElement) {
    const color = parse(getComputedStyle(at).backgroundColor);
    if (color.length === 3 || color[3] === 1) return color;
  }
  return matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18] : [255, 255, 255];
}
function contrast(element) {
  const pair = [parse(getComputedStyle(element).color), behind(element)].map(
      color => luminance(color.slice(0, 3))).sort((a, b) => b - a);
  return (pair[0] + 0.05) / (pair[1] + 0.05);
}
function scrolls(element) {
  return element.closest('.scroll, .picture') !== null;
}
function look() {
  const found = [];
  const width = document.documentElement.clientWidth;
  const images = [...document.images];
  for (const image of images)
    if (!image.complete || !image.naturalWidth) found.push('picture does not load: ' + image.alt);
  for (const video of document.querySelectorAll('video'))
    if (video.error) found.push('video does not load: ' + video.getAttribute('aria-label'));
  const page = Math.max(document.documentElement.scrollWidth, document.body.scrollWidth);
  if (page > width) found.push('page is ' + page + ' pixels wide on a screen of ' + width);
  for (const element of document.body.querySelectorAll('*')) {
    const box = element.getBoundingClientRect();
    if (!box.width || !box.height) continue;
    if (box.right > width + 1 && !scrolls(element))
      found.push('wider than the screen: ' + element.tagName + ' ' + element.textContent.slice(0, 40));
    const words = [...element.childNodes].filter(
        node => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
    if (!words.length || element.tagName === 'SCRIPT') continue;
    const size = parseFloat(getComputedStyle(element).fontSize);
    if (size < 12) found.push('words of ' + size + ' pixels: ' + words[0].textContent.slice(0, 40));
    const ratio = contrast(element);
    if (ratio < 4.5)
      found.push('contrast of ' + ratio.toFixed(1) + ': ' + words[0].textContent.slice(0, 40));
  }
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  const result = {width, height: document.documentElement.scrollHeight, dark,
                  pictures: images.length, videos: document.querySelectorAll('video').length,
                  found: found.slice(0, 20)};
  parent.postMessage('LOOKED ' + JSON.stringify(result) + ' END', '*');
}
addEventListener('load', look);
</script>
END
cat -- "$file" "$work/look.html" >"$work/look_page.html"
cp -- "$file" "$work/show_page.html"

# Windows have a least width of 500 pixels, frames have none. What the page in it finds becomes text.
frame() {
    local file="$work/frame_$2_$1.html"
    cat >"$file" <<END
<!DOCTYPE html>
<meta name="color-scheme" content="light dark">
<body style="margin:0;background:#888888">
<iframe src="$1_page.html" style="display:block;border:0;width:$2px;height:$3px"></iframe>
<pre id="looked" hidden></pre>
<script>
addEventListener('message', event => {
  document.getElementById('looked').textContent = event.data;
});
</script>
END
    echo "file://$file"
}

browse() {
    local width=$1 height=$2 scheme=$3
    shift 3
    # 0 is dark and 1 is light. Nothing is fetched: every name leads nowhere.
    timeout 120 "$chromium" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
        --disable-background-networking --disable-component-update --disable-sync \
        --disable-dev-shm-usage --hide-scrollbars --enable-logging=stderr --v=0 \
        --host-resolver-rules='MAP * ~NOTFOUND' --user-data-dir="$(mktemp -d -p "$work")" \
        --window-size="$width,$height" --blink-settings=preferredColorScheme="$scheme" "$@"
}

failed=0
complain() {
    echo "check_report: $1" >&2
    failed=1
}

check() {
    local name=$1 width=$2 height=$3 scheme=$4 dump="$work/$1.dump" log="$work/$1.log" looked tall
    if ! browse "$width" "$height" "$scheme" --virtual-time-budget=10000 --dump-dom \
        "$(frame look "$width" "$height")" >"$dump" 2>"$log"; then
        complain "$name: Chromium failed: $(tail -n 1 "$log")"
        return
    fi
    if grep -q ':CONSOLE' "$log"; then
        complain "$name: console: $(grep -m 1 ':CONSOLE' "$log")"
    fi
    looked=$(grep -o 'LOOKED {.*} END' "$dump" | tail -n 1 || true)
    if [[ -z "$looked" ]]; then
        complain "$name: the page could not be looked at"
        return
    fi
    tall=${looked##*\"height\":}
    tall=${tall%%,*}
    if [[ "$looked" != *"\"width\":$width,"* ]]; then
        complain "$name: opened at another width than $width: ${looked:0:60}"
    fi
    if [[ "$scheme" == 0 && "$looked" != *'"dark":true'* ]]; then
        complain "$name: the page does not know that it is dark"
    fi
    if [[ "$looked" != *'"found":[]'* ]]; then
        looked=${looked#*\"found\":}
        complain "$name: ${looked%\} END}"
    fi
    # Browsers draw no picture much taller than this.
    tall=$((tall > 16000 ? 16000 : tall))
    if browse "$width" "$tall" "$scheme" --screenshot="$out/$name.png" \
        "$(frame show "$width" "$tall")" >/dev/null 2>"$log" && [[ -s "$out/$name.png" ]]; then
        echo "$out/$name.png"
    else
        complain "$name: no screenshot: $(tail -n 1 "$log")"
    fi
}

out=$(cd -- "$out" && pwd)
check desktop_light 1280 900 1
check desktop_dark 1280 900 0
check phone_light 390 844 1
check phone_dark 390 844 0
if ((failed)); then
    exit 1
fi
echo "check_report: all is well with $file"
