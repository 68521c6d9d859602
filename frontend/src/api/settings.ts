/** What the page is told before anybody has shown a key. */

export interface DemoKey {
  id: string;
  key: string;
  tenant: string;
  user: string;
  band: string;
  role: "inference" | "admin" | "operator" | "gateway";
}

export interface PageSettings {
  demo: boolean;
  version: string;
  /** Keys that everybody may know: none unless the server runs its demo. */
  keys: DemoKey[];
  /** Highest first. */
  bands: string[];
}

export async function loadSettings(signal?: AbortSignal): Promise<PageSettings> {
  const response = await fetch("/page/settings", signal ? { signal } : {});
  if (!response.ok) throw new Error(`The server answered ${response.status} to /page/settings.`);
  return (await response.json()) as PageSettings;
}
