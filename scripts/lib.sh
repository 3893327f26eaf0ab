# Shared by the scripts: installs what is missing, and says so. Sourced, not run.

# Debian packages by the command that shows they are there.
#   need COMMAND PACKAGE
missing_packages=""
need() {
  PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1 || missing_packages="$missing_packages $2"
}
need_file() {
  [ -e "$1" ] || missing_packages="$missing_packages $2"
}


# What a demonstration calls, as the built program says. Arguments: those of `twohop demo`, or `all`.
need_for_demo() {
  local needs command package
  needs=$(node dist/testbed/process.js needs "$@")
  while read -r command package; do
    [ -z "$command" ] || need "$command" "$package"
  done <<<"$needs"
}

install_missing() {
  [ -z "$missing_packages" ] && return 0
  echo "installing Debian packages:$missing_packages"
  if [ "$(id -u)" != 0 ]; then
    echo "twohop: that takes root: sudo apt-get install$missing_packages" >&2
    return 1
  fi
  # shellcheck disable=SC2086 # one word per package
  local log
  log=$(mktemp)
  if ! DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing_packages >"$log" 2>&1; then
    # The package lists may be old or absent.
    DEBIAN_FRONTEND=noninteractive apt-get update >"$log" 2>&1
    if ! DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing_packages >>"$log" 2>&1; then
      cat "$log" >&2
      rm -f "$log"
      echo "twohop: apt-get could not install:$missing_packages" >&2
      return 1
    fi
  fi
  rm -f "$log"
  # Its program is wanted, not a name server for this machine.
  case "$missing_packages " in
    *" nsd "*) [ ! -d /run/systemd/system ] || systemctl disable --now --quiet nsd.service ;;
  esac
  missing_packages=""
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
