# Shared by the scripts: installs what is missing, and says so. Sourced, not run.

# Debian packages that are missing, each named once.
missing_packages=""

# The package of a command, or of a file, that shows that it is there.
#   need COMMAND PACKAGE
need() {
  PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1 || add_missing "$2"
}
need_file() {
  [ -e "$1" ] || add_missing "$2"
}
add_missing() {
  is_missing "$1" || missing_packages="$missing_packages $1"
}
is_missing() {
  case "$missing_packages " in
    *" $1 "*) return 0 ;;
    *) return 1 ;;
  esac
}

# Whatever demonstrations call, as the built program says.
#   need_for demo [ARGUMENT OF twohop demo...]    nothing when it would not run with these
#   need_for tests                                all of them
need_for() {
  local needs command package
  needs=$(node dist/testbed/process.js needs "$@")
  while read -r command package; do
    [ -z "$command" ] || need "$command" "$package"
  done <<<"$needs"
}

install_missing() {
  [ -n "$missing_packages" ] || return 0
  echo "installing Debian packages:$missing_packages"
  if [ "$(id -u)" != 0 ]; then
    echo "twohop: that takes root: sudo apt-get install$missing_packages" >&2
    return 1
  fi
  # A process of its own, whose trap is run however the installation ends.
  if ! (
    trap 'allow_services; stop_services' EXIT
    forbid_services
    apt_install
  ); then
    echo "twohop: apt-get could not install:$missing_packages" >&2
    return 1
  fi
  missing_packages=""
}

apt_install() {
  local log status=0
  log=$(mktemp)
  # The package lists may be old or absent.
  apt_get install $missing_packages >"$log" 2>&1 ||
    { apt_get update >"$log" 2>&1 && apt_get install $missing_packages >>"$log" 2>&1; } ||
    status=1
  [ "$status" = 0 ] || cat "$log" >&2
  rm -f "$log"
  return "$status"
}
apt_get() {
  DEBIAN_FRONTEND=noninteractive apt-get -y --no-install-recommends "$@"
}

# Packages are wanted for their programs, not for services on this machine: none is started while this file says so
# (101: forbidden). A file that somebody else made stays as it is.
policy=/usr/sbin/policy-rc.d
policy_mark="# made by twohop's scripts for the time of an installation"
forbid_services() {
  [ -e "$policy" ] || printf '#!/bin/sh\n%s\nexit 101\n' "$policy_mark" >"$policy"
  ! policy_is_ours || chmod 755 "$policy"
}
allow_services() {
  ! policy_is_ours || rm -f "$policy"
}
policy_is_ours() {
  grep -qsxF "$policy_mark" "$policy"
}

# Packages that bring a service, as PACKAGE:SERVICE. Where one came just now, it is not to be started at the next boot
# either.
services="nginx-light:nginx nsd:nsd etcd-server:etcd prometheus:prometheus bird2:bird"
stop_services() {
  local pair
  for pair in $services; do
    ! is_missing "${pair%%:*}" || stop_service "${pair##*:}"
  done
}
stop_service() {
  if [ -d /run/systemd/system ]; then
    systemctl disable --now --quiet "$1.service" || true
  else
    invoke-rc.d "$1" stop || true
    update-rc.d "$1" disable || true
  fi >/dev/null 2>&1
}

check_node() {
  # From these versions on `require` takes ES modules, as a dissector of one's own is.
  if ! command -v node >/dev/null 2>&1 || ! node -e '
    const [major, minor] = process.versions.node.split(".").map(Number);
    process.exit((major === 20 && minor >= 19) || (major === 22 && minor >= 12) || major > 22 ? 0 : 1)'; then
    echo "twohop: Node 20.19, 22.12 or newer is needed: https://nodejs.org, or apt-get install nodejs npm" >&2
    return 1
  fi
}

# npm packages as the lock file has them, when they are not there yet or the lock file changed. Not `npm ci`: it
# refuses a lock file that leaves out optional packages for other platforms, which some registries do not carry.
install_npm() {
  if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    echo "installing npm packages (npm install, as package-lock.json has them)"
    npm install --no-save --no-audit --no-fund --loglevel=error
  fi
}

# dist/, when a source is newer than it.
build() {
  if [ ! -e dist/.built ] || [ -n "$(find src package.json tsconfig*.json -newer dist/.built -print -quit)" ]; then
    echo "building"
    rm -rf dist
    npm run --silent build
    touch dist/.built
  fi
}
