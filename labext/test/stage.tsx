/** The panel over a server of a test, drawn into the page. */

import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import React, { act } from 'react';
import type { Root } from 'react-dom/client';
import { createRoot } from 'react-dom/client';

import { LiveClient } from '../src/api/live';
import { WorkbenchApi } from '../src/api/rest';
import { CardsModel } from '../src/model/cards';
import { FormModel } from '../src/model/form';
import { PresetsModel } from '../src/model/presets';
import { DEFAULTS } from '../src/model/settings';
import { Trails } from '../src/model/trails';
import { Workbench } from '../src/model/workbench';
import type { IActions, IPanelContext } from '../src/panel/context';
import { PanelContext } from '../src/panel/context';
import { Panel } from '../src/panel/panel';
import type { FakeServer } from './server';

let root: Root | null = null;
const open: Workbench[] = [];

/** Take it down; for `afterEach`. */
export async function cleared(): Promise<void> {
  await act(async () => root?.unmount());
  open.splice(0).forEach(one => one.dispose());
  document.body.replaceChildren();
}

export interface IStage {
  context: IPanelContext;
  find: (id: string) => HTMLElement[];
  text: (id: string) => string;
}

/** A model that has read everything. */
export async function connected(server: FakeServer): Promise<Workbench> {
  const settings = server.settings();
  const workbench = new Workbench({
    api: new WorkbenchApi(settings),
    live: new LiveClient(settings, () => 1)
  });
  open.push(workbench);
  await workbench.start();
  return workbench;
}

/** The panel over a server, drawn when it has read everything. */
export async function shown(server: FakeServer, actions: Partial<IActions> = {}): Promise<IStage> {
  const workbench = await connected(server);
  const form = new FormModel();
  const cards = new CardsModel(workbench, form);
  await cards.read();
  const context: IPanelContext = {
    workbench,
    form,
    cards,
    trails: new Trails(workbench),
    presets: new PresetsModel(workbench, form),
    actions: actions as IActions,
    current: { path: null, changed: new Signal({}) },
    focus: { lease: null, changed: new Signal({}) },
    preferences: () => DEFAULTS,
    themeChanged: null,
    trans: nullTranslator.load('test')
  };
  const host = document.body.appendChild(document.createElement('div'));
  root = createRoot(host);
  await act(async () =>
    root?.render(
      <PanelContext.Provider value={context}>
        <Panel />
      </PanelContext.Provider>
    )
  );
  const find = (id: string): HTMLElement[] => [
    ...host.querySelectorAll<HTMLElement>(`[data-testid="${id}"]`)
  ];
  return { context, find, text: id => find(id)[0]?.textContent ?? '' };
}
