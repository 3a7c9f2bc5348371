/**
 * The real cluster of Kubernetes that `dev/kubernetes.sh` gives a command. Tests
 * that need it are registered only there: nothing else has one, CI neither.
 */

/** Whether there is one. */
export const hasCluster: boolean = Deno.env.get("E2E") === "kubernetes";

/** Runs `kubectl` as somebody who may do everything, and gives what it printed, trimmed. */
export async function kubectl(
  args: readonly string[],
  stdin = "",
): Promise<string> {
  const child = new Deno.Command("kubectl", {
    args: ["--context=admin", ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(stdin));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  if (success) return new TextDecoder().decode(stdout).trim();
  throw new Error(`kubectl ${args[0]}: ${new TextDecoder().decode(stderr)}`);
}

/** Options of provisioners and connections there, for a user with just the rights that the documentation says are enough. */
export async function clusterOptions(): Promise<
  { image: string; context: string }
> {
  const image = Deno.env.get("ATEX_TEST_KUBERNETES_IMAGE");
  if (!image) {
    throw new Error("There is no cluster: dev/kubernetes.sh starts one");
  }
  await grantRights();
  return { image, context: "tester" };
}

/** Gives the user "tester" the Role of `docs/kubernetes.md`. */
async function grantRights(): Promise<void> {
  const page = new URL("../docs/kubernetes.md", import.meta.url);
  const [, role] = /```yaml\n(apiVersion: rbac.*?)```/s
    .exec(await Deno.readTextFile(page))!;
  const apiGroup = "rbac.authorization.k8s.io";
  const binding = JSON.stringify({
    apiVersion: `${apiGroup}/v1`,
    kind: "RoleBinding",
    metadata: { name: "tester", namespace: "atex" },
    roleRef: { apiGroup, kind: "Role", name: "atex" },
    subjects: [{ apiGroup, kind: "User", name: "tester" }],
  });
  const inOurs = role.replace("namespace: ci", "namespace: atex");
  await kubectl(["apply", "-f-"], `${inOurs}---\n${binding}`);
}

/** What there is that scripts made, or only this run: pods, and what owns them. */
export async function objectsOf(run?: string): Promise<string[]> {
  const selector = run === undefined
    ? "app.kubernetes.io/managed-by=atex"
    : `atex.run=${run}`;
  const names = await kubectl([
    ...["get", "pods,leases,configmaps", `--selector=${selector}`],
    "--output=name",
  ]);
  return names.split("\n").filter((name) => name !== "");
}
