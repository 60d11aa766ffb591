/** Makes the state and keeps it fresh; takes over the settings; turns notices into notifications. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { LiveClient } from '../api/live';
import { WorkbenchApi } from '../api/rest';
import { IGpuWorkbench } from '../tokens';
import { FormModel } from './form';
import { tellOfLeases } from './notices';
import type { IPreferences } from './settings';
import { DEFAULTS, preferencesOf } from './settings';
import { profileName } from './words';
import { Workbench } from './workbench';

export const PLUGIN_ID = 'jupyterlab-gpu-workbench:plugin';

export const modelPlugin: JupyterFrontEndPlugin<IGpuWorkbench> = {
  id: PLUGIN_ID,
  description: 'The state of GPU slices, clusters and jobs.',
  autoStart: true,
  optional: [ISettingRegistry, ITranslator],
  provides: IGpuWorkbench,
  activate: (
    app: JupyterFrontEnd,
    registry: ISettingRegistry | null,
    translator: ITranslator | null
  ): IGpuWorkbench => {
    const trans = (translator ?? nullTranslator).load('jupyterlab_gpu_workbench');
    const { serverSettings } = app.serviceManager;
    const live = new LiveClient(serverSettings);
    const workbench = new Workbench({ api: new WorkbenchApi(serverSettings), live });
    const look = (): void => live.hide(document.hidden);
    document.addEventListener('visibilitychange', look);
    look();
    const form = new FormModel();
    let preferences: IPreferences = DEFAULTS;

    tellOfLeases(workbench, trans);
    workbench.granted.connect((_, { lease, waited }) => {
      if (waited && preferences.notifyGrants) {
        const text = trans.__('Your slice %1 is there.', profileName(lease.profile));
        Notification.success(text, { autoClose: 8000 });
      }
    });
    void registry?.load(PLUGIN_ID).then(settings => {
      const take = (): void => {
        const was = preferences;
        preferences = preferencesOf(settings);
        workbench.pollEvery = preferences.pollSeconds * 1000;
        if (was.memory !== preferences.memory) {
          form.typeMemory(preferences.memory);
        }
        if (was.hours !== preferences.hours) {
          form.set({ seconds: Math.round(preferences.hours * 3600) });
        }
      };
      take();
      settings.changed.connect(take);
    });
    void workbench.start();

    return {
      workbench,
      form,
      preferences: () => preferences,
      request: body => workbench.ask(body)
    };
  }
};
