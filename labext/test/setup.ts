// What JupyterLab's packages need of a browser and jsdom lacks.

const lacking = globalThis as unknown as Record<string, unknown>;

lacking.DragEvent ??= class extends Event {};
lacking.matchMedia ??= () => ({
  matches: false,
  addEventListener(): void {},
  removeEventListener(): void {}
});
lacking.requestIdleCallback ??= (f: () => void) => setTimeout(f, 0);
lacking.ResizeObserver ??= class {
  observe(): void {}
  unobserve(): void {}
  disconnect(): void {}
};
