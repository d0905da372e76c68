@echo off
setlocal enabledelayedexpansion
set "disc=%~dp0"
mkdir %ProgramData%\linwin 2>nul
set "log=%ProgramData%\linwin\setup.log"
>COM1 echo linwin-setup: logon
powercfg /h off >>"%log%" 2>&1
reagentc /disable >>"%log%" 2>&1
bcdedit /set {current} recoveryenabled no >>"%log%" 2>&1
bcdedit /set {current} bootstatuspolicy ignoreallfailures >>"%log%" 2>&1
reg add "HKLM\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate\AU" /v NoAutoUpdate /t REG_DWORD /d 1 /f >>"%log%" 2>&1
reg add "HKLM\SOFTWARE\Policies\Microsoft\Windows Defender\Real-Time Protection" /v DisableRealtimeMonitoring /t REG_DWORD /d 1 /f >>"%log%" 2>&1
schtasks /change /disable /tn "\Microsoft\Windows\Defrag\ScheduledDefrag" >>"%log%" 2>&1
>COM1 echo linwin-setup: drivers
for /r "%disc%drivers" %%i in (*.inf) do (
  pnputil /add-driver "%%i" /install >>"%log%" 2>&1
  if not !errorlevel! == 0 if not !errorlevel! == 3010 if not !errorlevel! == 259 set "what=pnputil ended with !errorlevel! for %%~nxi" & goto failed
)
>COM1 echo linwin-setup: agent
set "what=the agent could not be installed"
mkdir "%ProgramFiles%\linwin" 2>nul
copy /y "%disc%linwin-agent.exe" "%ProgramFiles%\linwin\linwin-agent.exe" >>"%log%" 2>&1 || goto failed
"%ProgramFiles%\linwin\linwin-agent.exe" service install >>"%log%" 2>&1 || goto failed
>COM1 echo linwin-setup: trim
defrag C: /L >>"%log%" 2>&1
>COM1 echo linwin-setup: sysprep
set "what=the answers for the first start could not be laid down"
copy /y "%disc%clone.xml" "%SystemRoot%\System32\Sysprep\linwin.xml" >>"%log%" 2>&1 || goto failed
icacls "%SystemRoot%\System32\Sysprep\linwin.xml" /inheritance:r /grant:r *S-1-5-18:F *S-1-5-32-544:F >>"%log%" 2>&1 || goto failed
"%SystemRoot%\System32\Sysprep\sysprep.exe" /generalize /oobe /shutdown /mode:vm /quiet /unattend:"%SystemRoot%\System32\Sysprep\linwin.xml" >>"%log%" 2>&1
if %errorlevel% == 0 exit /b 0
set "what=sysprep ended with %errorlevel%: see %SystemRoot%\System32\Sysprep\Panther\setuperr.log"
:failed
>COM1 echo linwin-setup: failed %what%
exit /b 1
