/** The code that takes a cluster up from a notebook. */

/** What connects a notebook to a cluster of that name. */
export function clientCode(name: string): string {
  const literal = JSON.stringify(name); // Also a Python literal: names are checked by the server.
  return `import gpu_workbench as gw\n\nclient = gw.cluster(name=${literal}).get_client()\nclient`;
}
