/** What a request asks for. */
export interface Wanted {
  readonly compose: string;
  readonly arch: string;
  /** Milliseconds that the request may live. */
  readonly timeout: number;
  readonly pool?: string;
  readonly hardware?: unknown;
  readonly kickstart?: unknown;
  readonly artifacts?: readonly unknown[];
  readonly variables?: Readonly<Record<string, string>>;
  readonly secrets?: Readonly<Record<string, string>>;
  readonly tags?: Readonly<Record<string, string>>;
  readonly skipGuestSetup?: boolean;
}

/** What we add to it. */
export interface Additions {
  /** Type and key, without a comment. */
  readonly publicKey: string;
  readonly tags: Readonly<Record<string, string>>;
  /** Who may reach the system; absent where that is not asked for. */
  readonly sourceCidr?: string;
}

/** The service's test that keeps a system, and lets us in. */
const RESERVE_TEST = {
  url: "https://gitlab.com/testing-farm/tests",
  ref: "main",
  path: ".",
  name: "/testing-farm/reserve",
};

/** The body of a request for one system. */
export function requestBody(wanted: Wanted, additions: Additions): unknown {
  const { compose, arch, pool, hardware, kickstart, artifacts } = wanted;
  const minutes = Math.ceil(wanted.timeout / 60_000);
  const given = { pool, hardware, kickstart, artifacts };
  return {
    test: { fmf: RESERVE_TEST },
    environments: [{
      arch,
      os: { compose },
      ...Object.fromEntries(
        Object.entries(given).filter(([, value]) => value !== undefined),
      ),
      variables: {
        // The test ends by itself after half an hour, if it is not told.
        TF_RESERVATION_DURATION: String(minutes),
        ...wanted.variables,
      },
      secrets: {
        ...wanted.secrets,
        // The comment of a key tells users and hosts.
        TF_RESERVATION_AUTHORIZED_KEYS_BASE64: btoa(
          `${additions.publicKey} atex\n`,
        ),
      },
      settings: {
        provisioning: {
          tags: {
            ArtemisUseSpot: "false", // those may vanish at any moment
            ...wanted.tags,
            ...additions.tags,
          },
          ...(additions.sourceCidr !== undefined && {
            security_group_rules_ingress: [{
              type: "ingress",
              protocol: "-1",
              cidr: additions.sourceCidr,
              port_min: 0,
              port_max: 65535,
            }],
          }),
        },
        ...(wanted.skipGuestSetup &&
          { pipeline: { skip_guest_setup: true } }),
      },
    }],
    settings: { pipeline: { timeout: minutes } },
  };
}
