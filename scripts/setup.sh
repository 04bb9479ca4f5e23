#!/usr/bin/env bash
# Installs what a build and its tests need: Debian packages, and a private Python environment in .venv.
# Idempotent: does nothing when its inputs have not changed. `--force` looks again.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly stamp=build/.setup-stamp
readonly requirements=(scripts/requirements.txt tests/clients/requirements-openai.txt tests/scale/requirements.txt)
readonly inputs=(scripts/setup.sh scripts/packages.txt "${requirements[@]}")

say() { printf 'setup: %s\n' "$*" >&2; }

fingerprint() { sha256sum "${inputs[@]}" | sha256sum | cut -d' ' -f1; }

missing_packages() {
  local package
  grep -v '^#' scripts/packages.txt | while read -r package; do
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || echo "$package"
  done
}

# Prints the command that makes apt-get run as root; fails where there is none.
root_prefix() {
  if [ "$(id -u)" -eq 0 ]; then
    echo env
  elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
    echo 'sudo env'
  else
    return 1
  fi
}

install_packages() {
  local missing as_root
  command -v dpkg-query >/dev/null || { say 'no dpkg here: this script knows Debian 12 only'; exit 1; }
  mapfile -t missing < <(missing_packages)
  [ "${#missing[@]}" -eq 0 ] && return
  if ! as_root=$(root_prefix); then
    say 'these Debian packages are missing, and there is neither root nor sudo to install them:'
    printf '  %s\n' "${missing[@]}" >&2
    say "ask for: apt-get install ${missing[*]}"
    exit 1
  fi
  say "installing ${#missing[@]} Debian packages: ${missing[*]}"
  # The prefix is one or two words on purpose.
  # shellcheck disable=SC2086
  $as_root apt-get -qq update >&2
  # shellcheck disable=SC2086
  $as_root DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >&2
}

install_python() {
  local wanted
  wanted=$(cat "${requirements[@]}" | sha256sum | cut -d' ' -f1)
  [ "$(cat .venv/.requirements 2>/dev/null)" = "$wanted" ] && .venv/bin/python -c '' 2>/dev/null && return
  say "installing the Python packages of ${requirements[*]} into .venv"
  # Debian's own interpreter: another one in PATH may come without its headers, or go away.
  /usr/bin/python3 -m venv --clear .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps "${requirements[@]/#/-r}" >&2
  echo "$wanted" >.venv/.requirements
}

main() {
  if [ "${1:-}" != --force ] && [ "$(cat "$stamp" 2>/dev/null)" = "$(fingerprint)" ] && [ -x .venv/bin/python ]; then
    return
  fi
  install_packages
  install_python
  mkdir -p build
  fingerprint >"$stamp"
  say 'done'
}

main "$@"
